"""`fmnist-tui recipes`: what comes with the program, and whether it keeps its claims."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import gpu_detect, recipes
from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.config.recipes import Claim, Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.session.session import Session
from fmnist_tui.util.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the recipes with what they are for")
    options.as_json(listing)
    show = actions.add_parser("show", help="a recipe's settings and claims")
    show.add_argument("name", metavar="NAME")
    options.as_json(show)
    run_one = actions.add_parser("run", help="train a recipe (the same as `train NAME`)")
    run_one.add_argument("name", metavar="NAME")
    options.folders(run_one)
    options.as_json(run_one)
    options.settings(run_one)
    check = actions.add_parser("check", help="train recipes and hold them to their claims")
    check.add_argument("names", nargs="*", metavar="NAME", help="recipes to check [all]")
    check.add_argument(
        "--seeds", type=int, metavar="N", help="runs of each [as the recipe says, else 3]"
    )
    check.add_argument("--device", default="auto", help="where to train")
    options.folders(check)
    options.as_json(check)


def run(args: argparse.Namespace) -> int:
    if args.action == "list":
        return _list(args)
    if args.action == "show":
        return _show(args)
    if args.action == "run":
        from fmnist_tui.cli.commands import train

        args.recipe_name, args.config, args.resume = args.name, None, None
        return train.run(args)
    return _check(args)


def _list(args: argparse.Namespace) -> int:
    found = [recipes.load(name) for name in recipes.names()]
    if args.json:
        console.document([{"name": recipe.name, "about": recipe.about} for recipe in found])
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("recipe", "model", "epochs", "runs", "about"):
        table.add_column(heading, overflow="fold")
    for recipe in found:
        table.add_row(*_line(recipe))
    console.console().print(table)
    return 0


def _line(recipe: Recipe) -> tuple[str, ...]:
    config = recipe.config()
    count = sum(not isinstance(step, EnsembleStep) for step in Plan.of(recipe).steps)
    return recipe.name, config.model, str(config.epochs), str(count), recipe.about


def _show(args: argparse.Namespace) -> int:
    recipe = recipes.load(args.name)
    config = recipe.config()
    if args.json:
        console.document(
            {
                "name": recipe.name,
                "about": recipe.about,
                "run": config.model_dump(),
                "gpu": dict(recipe.gpu),
                "gpu_here": gpu_detect.trains(config.device),
                "stages": [asdict(stage) for stage in recipe.stages],
                "ensemble": asdict(recipe.ensemble) if recipe.ensemble else None,
                "seeds": recipe.seeds,
                "claims": [asdict(claim) for claim in recipe.claims],
            }
        )
        return 0
    print(f"# {recipe.about}")
    print(recipes.to_toml(config), end="")
    if recipe.gpu:
        here = (
            "as above: one trains here" if gpu_detect.trains(config.device) else "none trains here"
        )
        print(f"\n[gpu]  # instead, where an NVIDIA GPU trains ({here})")
        _print_settings(recipe.gpu)
    for stage in recipe.stages:
        print(f'\n[[stage]]\nname = "{stage.name}"')
        _print_settings({f"run.{key}": value for key, value in stage.run.items()})
    if recipe.ensemble is not None:
        print("\n[ensemble]")
        _print_settings(asdict(recipe.ensemble))
    plan = Plan.of(recipe)
    if len(plan.steps) > 1:
        names = (step.name for step in plan.steps)
        print(f"\n# one after another: {', '.join(names)}")
    for claim in recipe.claims:
        print(f"# claim: {_claim(claim)}")
    return 0


def _print_settings(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        print(f"{key} = {recipes.toml_value(value)}")


def _claim(claim: Claim) -> str:
    from fmnist_tui.cli.support.claims import claimed

    changes = ", ".join(f"{key} = {value}" for key, value in claim.run.items())
    stage = f"{claim.stage}: " if claim.stage else ""
    bound = "at least" if claim.at_least is not None else "at most"
    words = f"{stage}{claim.metric} {claimed(claim.metric, bound, claim.bound)}"
    return words + (f" with {changes}" if changes else "")


def _check(args: argparse.Namespace) -> int:
    from fmnist_tui.cli.support import claims

    if args.seeds is not None and not 1 <= args.seeds <= recipes.MOST_SEEDS:
        raise UsageError(f"--seeds must be from 1 to {recipes.MOST_SEEDS}")
    chosen = [recipes.load(name) for name in args.names or recipes.names()]
    RunConfig.build({"device": args.device}, "--device")
    with Session(options.runs_dir(args), options.data_dir(args)) as session:
        results = list(claims.check(session, chosen, args.seeds, args.device))
    if args.json:
        console.document([{**asdict(done), "mean": done.mean, "sd": done.sd} for done in results])
    else:
        console.console().print(claims.table(results))
        console.note("test split read once per run; seconds of training")
    for done in results:
        if done.passed is None:
            console.note(f"{claims.claimed_by(done)} not checked: {done.why}")
        elif done.passed and args.json:
            console.note(f"{claims.claimed_by(done)} kept: {claims.found(done)}")
        elif not done.passed:
            console.error(f"{claims.claimed_by(done)} not kept: {done.why or claims.found(done)}")
    # What cannot be checked is not wrong; that nothing could be is.
    passed = [done.passed for done in results]
    return 1 if False in passed or True not in passed else 0

"""`fmnist-tui recipes`: list, show, run and check the recipes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import gpu_detect, recipes
from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.config.recipes import Claim
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.util.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    options.add_json(options.add_action(actions, "list", "list the recipes and what they are for"))
    show = options.add_action(actions, "show", "show a recipe's settings and claims")
    show.add_argument("name", metavar="NAME", help="name of the recipe")
    options.add_json(show)
    train = options.add_action(actions, "run", "train a recipe (same as `train NAME`)")
    train.add_argument("name", metavar="NAME", help="name of the recipe")
    options.add_common(train)
    options.add_settings(train)
    check = options.add_action(
        actions, "check", "train recipes and check that they keep their claims"
    )
    check.add_argument("names", nargs="*", metavar="NAME", help="recipes to check [all]")
    check.add_argument(
        "--seeds", type=int, metavar="N", help="runs per recipe [set by the recipe, else 3]"
    )
    options.add_device(check)
    options.add_common(check)


def run(args: argparse.Namespace) -> int:
    return {"list": _list, "show": _show, "run": _run, "check": _check}[args.action](args)


def _run(args: argparse.Namespace) -> int:
    from fmnist_tui.cli.support.run_plan import build_plan, print_steps, run_plan

    plan = build_plan(recipes.load_recipe(args.name), args)
    with options.open_session(args) as session:
        return print_steps(run_plan(session, plan), plan, args)


def _list(args: argparse.Namespace) -> int:
    loaded = [recipes.load_recipe(name) for name in recipes.recipe_names()]
    if args.json:
        console.print_json([{"name": recipe.name, "about": recipe.about} for recipe in loaded])
        return 0
    table = console.create_table("recipe", "model", "epochs", "runs", "about", fold=True)
    for recipe in loaded:
        config = recipe.config()
        runs = sum(not isinstance(step, EnsembleStep) for step in Plan.from_recipe(recipe).steps)
        table.add_row(recipe.name, config.model, str(config.epochs), str(runs), recipe.about)
    console.console().print(table)
    return 0


def _show(args: argparse.Namespace) -> int:
    recipe = recipes.load_recipe(args.name)
    config = recipe.config()
    if args.json:
        console.print_json(
            {
                "name": recipe.name,
                "about": recipe.about,
                "run": config.model_dump(),
                "gpu": dict(recipe.gpu),
                "gpu_here": gpu_detect.will_use_gpu(config.device),
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
        here = "used on this machine" if gpu_detect.will_use_gpu(config.device) else "not used here"
        print(f"\n[gpu]  # replaces settings when training on an NVIDIA GPU ({here})")
        _print_settings(recipe.gpu)
    for stage in recipe.stages:
        print(f'\n[[stage]]\nname = "{stage.name}"')
        _print_settings({f"run.{key}": value for key, value in stage.run.items()})
    if recipe.ensemble is not None:
        print("\n[ensemble]")
        _print_settings(asdict(recipe.ensemble))
    plan = Plan.from_recipe(recipe)
    if len(plan.steps) > 1:
        names = (step.name for step in plan.steps)
        print(f"\n# steps: {', '.join(names)}")
    for claim in recipe.claims:
        print(f"# claim: {_format_claim(claim)}")
    return 0


def _print_settings(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        print(f"{key} = {recipes.format_toml_value(value)}")


def _format_claim(claim: Claim) -> str:
    from fmnist_tui.cli.support.claims import format_bound

    changes = ", ".join(f"{key} = {value}" for key, value in claim.run.items())
    stage = f"{claim.stage}: " if claim.stage else ""
    bound = "at least" if claim.at_least is not None else "at most"
    text = f"{stage}{claim.metric} {format_bound(claim.metric, bound, claim.bound)}"
    return text + (f" with {changes}" if changes else "")


def _check(args: argparse.Namespace) -> int:
    from fmnist_tui.cli.support import claims

    if args.seeds is not None and not 1 <= args.seeds <= recipes.MAX_SEEDS:
        raise UsageError(f"--seeds must be from 1 to {recipes.MAX_SEEDS}")
    chosen = [recipes.load_recipe(name) for name in args.names or recipes.recipe_names()]
    RunConfig.build({"device": args.device}, "--device")
    with options.open_session(args) as session:
        results = list(claims.check_recipes(session, chosen, args.seeds, args.device))
    if args.json:
        console.print_json(
            [{**asdict(result), "mean": result.mean, "sd": result.sd} for result in results]
        )
    else:
        console.console().print(claims.create_claim_table(results))
        console.note("each run read the test split once; seconds are of training")
    for result in results:
        claim = claims.format_claim(result)
        if result.passed is None:
            console.note(f"{claim} not checked: {result.why}")
        elif result.passed and args.json:
            console.note(f"{claim} kept: {claims.format_measured(result)}")
        elif not result.passed:
            console.error(f"{claim} not kept: {result.why or claims.format_measured(result)}")
    # Unchecked claims are no failure, unless nothing could be checked.
    passed = [result.passed for result in results]
    return 1 if False in passed or True not in passed else 0

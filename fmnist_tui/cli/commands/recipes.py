"""`fmnist-tui recipes`: list, show, run and check the recipes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import gpu_detect, recipes
from fmnist_tui.config.measurement import format_result
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.recipes import Claim, Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.formatting import format_short_duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, part in options.add_actions(parser, ACTIONS):
        if name == "check":
            part.add_argument("names", nargs="*", metavar="NAME", help="recipes to check [all]")
            about = "runs per recipe [set by the recipe, else 3]"
            part.add_argument("--seeds", type=int, metavar="N", help=about)
            options.add_device(part)
        elif name != "list":
            part.add_argument("name", metavar="NAME", help="name of the recipe")
        trains = name in ("run", "check")
        options.add_common(part, runs=trains, data=trains)
        if name == "run":
            options.add_settings(part, of_default_recipe=False)


def run(args: argparse.Namespace) -> int | None:
    return ACTIONS[args.action][1](args)


def _run(args: argparse.Namespace) -> int:
    from fmnist_tui.cli.support.run_plan import build_plan, print_steps, run_plan

    plan = build_plan(recipes.load_recipe(args.name), args)
    with options.open_session(args) as session:
        return print_steps(run_plan(session, plan), plan, args)


def _list(args: argparse.Namespace) -> None:
    loaded = [recipes.load_recipe(name) for name in recipes.recipe_names()]
    if args.json:
        console.print_json(
            [
                {
                    "name": recipe.name,
                    "about": recipe.about,
                    "measured": [asdict(each) for each in recipe.measured],
                }
                for recipe in loaded
            ]
        )
        return
    rows, machines = [], set()
    for recipe in loaded:
        figures = ("–", "–", "–")
        if (result := recipe.result) is not None:
            seconds = format_short_duration(result.seconds)
            if not result.warm_seconds:
                seconds += " in steps"
            figures = (format_result(result), seconds, result.data)
            machines.add(result.on)
        rows.append((recipe.name, recipe.summary, *figures))
    console.print_table(("recipe", "what it is", "test accuracy", "time", "data"), rows, fold=True)
    console.note(
        f"measured on {' and '.join(sorted(machines))}; time: from the first step to usable"
        " weights; in steps: without validation and saving"
    )


def _show(args: argparse.Namespace) -> None:
    recipe = recipes.load_recipe(args.name)
    config = recipe.config()
    uses_gpu = gpu_detect.will_use_gpu(config.device)
    if args.json:
        document = {**asdict(recipe), "run": config.model_dump(), "gpu_here": uses_gpu}
        del document["values"]
        console.print_json(document)
        return
    for line in "\n".join(_format_recipe(recipe, config, uses_gpu=uses_gpu)).split("\n"):
        console.line(line)


def _format_recipe(recipe: Recipe, config: RunConfig, *, uses_gpu: bool) -> Iterator[str]:
    """A recipe as TOML, part by part."""
    yield _format_comment(recipe.about)
    yield recipes.to_toml(config).removesuffix("\n")
    if recipe.gpu:
        usage = "used on this machine" if uses_gpu else "not used here"
        yield f"\n[gpu]  # replaces settings when training on an NVIDIA GPU ({usage})"
        yield recipes.format_toml_lines(recipe.gpu)
    for stage in recipe.stages:
        yield f'\n[[stage]]\nname = "{stage.name}"'
        yield recipes.format_toml_lines(stage.run, "run.")
    if recipe.ensemble is not None:
        yield "\n[ensemble]"
        yield recipes.format_toml_lines(asdict(recipe.ensemble))
    plan = Plan.from_recipe(recipe)
    if len(plan.steps) > 1:
        yield "\n" + _format_comment(f"steps: {', '.join(step.name for step in plan.steps)}")
    for claim in recipe.claims:
        kind = "goal, not measured to be reached" if claim.goal else "claim"
        yield _format_comment(f"{kind}: {_format_claim(claim)}")


def _format_comment(text: str) -> str:
    """A comment in TOML; of a text of several lines too, no line is a setting."""
    return "\n".join(f"# {line}" for line in text.splitlines() or [""])


def _format_claim(claim: Claim) -> str:
    from fmnist_tui.cli.support.claims import format_bound

    stage = f"{claim.stage}: " if claim.stage else ""
    text = f"{stage}{claim.metric} {format_bound(claim.metric, claim.bound_kind, claim.bound)}"
    changes = ", ".join(f"{key} = {value}" for key, value in claim.run.items())
    text += f" with {changes}" if changes else ""
    if claim.gpu is None:
        return text
    return f"{text} on an NVIDIA GPU" if claim.gpu else f"{text} without a GPU"


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
        console.note(
            "each run read the test split once; seconds are those from the first step to usable"
            " weights, with validation and saving"
        )
    for result in results:
        claim = claims.format_claim(result)
        if result.passed is None:
            console.note(f"{claim} not checked: {result.why}")
        elif result.passed and args.json:
            verb = "reached" if result.goal else "kept"
            console.note(f"{claim} {verb}: {claims.format_measured(result)}")
        elif result.goal and not result.passed:
            console.note(f"{claim} not yet: {result.why or claims.format_measured(result)}")
        elif not result.passed:
            console.error(f"{claim} not kept: {result.why or claims.format_measured(result)}")
    # Unchecked claims are no failure, unless nothing could be checked. A goal is no claim.
    is_any_checked = any(result.passed is not None for result in results)
    is_any_broken = any(result.passed is False and not result.goal for result in results)
    return 1 if is_any_broken or not is_any_checked else 0


ACTIONS: options.Actions = {
    "list": ("list the recipes and what they are for", _list),
    "show": ("show a recipe's settings and claims", _show),
    "run": ("train a recipe (same as `train NAME`)", _run),
    "check": ("train recipes and check that they keep their claims", _check),
}

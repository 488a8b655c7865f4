"""`fmnist-tui lrfind`: find a learning rate for a recipe or for settings."""

from __future__ import annotations

import argparse

from fmnist_tui.cli.support import console, lr_search, options
from fmnist_tui.cli.support.run_plan import run_training
from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import FAILED
from fmnist_tui.runs.resolve_start import resolve_start
from fmnist_tui.util.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_recipe(parser)
    lr_search.add_range(parser)
    options.add_common(parser)
    options.add_settings(parser)


def run(args: argparse.Namespace) -> int:
    rates = lr_search.parse_range(args)
    config = _build_config(args)
    if config.start is not None:
        # Resolved now: later, `last` would be this search itself.
        args.start = str(resolve_start(config.start, options.runs_dir(args)))
        config = config.changed(start=args.start)
    with options.open_session(args) as session:
        step = run_training(session.find_lr(config, rates))
    if step.folder is None:
        console.note("stopped before the search started")
        return step.status
    if args.debug and step.error is not None:
        raise step.error
    status = lr_search.print_result(
        step.state.search, step.folder, _train_command(args), as_json=args.json
    )
    if step.state.end_reason == FAILED:
        console.error(f"the search failed: {step.state.message}")
    return step.status or status


def _build_config(args: argparse.Namespace) -> RunConfig:
    if args.recipe_name is not None and args.config is not None:
        raise UsageError("give only one of RECIPE and --config FILE")
    recipe = options.load_recipe(args)
    # Of a recipe with stages the first: the others start from weights that do not exist yet.
    first = recipe.stages[0].run if recipe.stages else {}
    settings = options.parse_settings(args)
    return recipe.config(**{**first, **recipes.settings_from_environment(), **settings})


def _train_command(args: argparse.Namespace) -> list[str]:
    """The command that trains with these settings; the rate is still missing."""
    values = {"config": args.config, "runs": args.runs, "data": args.data}
    settings = {name: text for name, text in options.raw_settings(args).items() if name != "lr"}
    recipe = [args.recipe_name] if args.recipe_name else []
    return ["train", *recipe, *options.format_flags({**values, **settings}), "--lr"]

"""`fmnist-tui ensemble`: combine several trained networks into one classifier."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.text import Text

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.progress import show_progress
from fmnist_tui.cli.support.run_documents import evaluations_to_json
from fmnist_tui.cli.support.run_plan import run_plan
from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.recipes import MAX_SEEDS, EnsembleMembers
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import RunSummary, resolve, summarise_run
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.formatting import format_percent, format_percent_range
from fmnist_tui.util.text import safe_text

# The settings that apply to an ensemble of trained members, with their defaults.
ENSEMBLE_SETTINGS: dict[str, Any] = {"tta": None, "device": "auto", "recipe": "ensemble"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="RUN|RECIPE",
        help=f"two or more runs, or with --seeds the recipe to train [{recipes.DEFAULT_RECIPE}]",
    )
    about = "train N members first, each with its own seed"
    parser.add_argument("--seeds", type=int, metavar="N", help=about)
    options.add_common(parser)
    options.add_settings(parser)


def run(args: argparse.Namespace) -> None:
    plan = None if args.seeds is None else _build_plan(args)
    with options.open_session(args) as session:
        if plan is None:
            members = [resolve(options.require_runs_dir(args), name) for name in args.names]
            folder = _combine(session, members, args)
        else:
            *members, folder = _train_members(session, plan)
    summaries = [summarise_run(member) for member in members]
    state = replay(folder.events)
    for alert in state.alerts:
        if alert.level == "warning":
            console.note(alert.message)
    if args.json:
        console.print_json(_to_json(folder, state, summaries))
    else:
        _print(folder, state, summaries)


def _build_plan(args: argparse.Namespace) -> Plan:
    if not 2 <= args.seeds <= MAX_SEEDS:
        raise UsageError(f"--seeds {args.seeds}: must be 2 to {MAX_SEEDS}")
    if len(args.names) > 1:
        raise UsageError("--seeds trains one recipe: give only one name, or leave out --seeds")
    recipe = recipes.load_recipe(args.names[0] if args.names else recipes.DEFAULT_RECIPE)
    if recipe.stages:
        raise UsageError(
            f"{recipe.name} has stages: train it several times, each with another --seed, and give"
            " `ensemble` the runs"
        )
    settings = {**recipes.settings_from_environment(), **options.parse_settings(args)}
    default_tta = recipe.ensemble.tta if recipe.ensemble else recipe.config(**settings).tta
    members = EnsembleMembers(args.seeds, settings.pop("tta", default_tta))
    return Plan.from_recipe(replace(recipe, ensemble=members), settings)


def _train_members(session: Session, plan: Plan) -> list[RunFolder]:
    """The runs of the plan, the ensemble last. If it is not created, because a member does not
    finish or of a signal, those that have finished are kept and named."""
    folders: list[RunFolder] = []
    try:
        for step in run_plan(session, plan):
            if step.folder is not None and step.state.end_reason == FINISHED:
                folders.append(step.folder)
            step.require_finished()
    except (KeyboardInterrupt, SystemExit, UserError):
        if folders:
            names = " ".join(safe_text(folder.id) for folder in folders)
            console.note(f"no ensemble was created; finished members: {names}")
        raise
    return folders


def _combine(session: Session, members: Sequence[RunFolder], args: argparse.Namespace) -> RunFolder:
    settings = options.parse_settings(args)
    options.refuse_settings(
        (name for name in settings if name not in ENSEMBLE_SETTINGS),
        "is for training, and these runs are already trained (--seeds N trains new ones)",
    )
    with show_progress("ensemble") as on_progress:
        values = {**ENSEMBLE_SETTINGS, **settings}
        return session.build_ensemble(members, **values, on_progress=on_progress).result()


def _to_json(folder: RunFolder, state: RunState, members: Sequence[RunSummary]) -> dict[str, Any]:
    return {
        "run": folder.name,
        "path": str(folder.path),
        "model": state.started.model if state.started else "",
        "parameters": state.started.parameters if state.started else 0,
        "members": [
            {
                "run": member.run.name,
                "model": member.model,
                "val_accuracy": member.best_val_accuracy,
                "test_accuracy": member.test_accuracy,
            }
            for member in members
        ],
        **console.pick(state, "seconds", "warm_seconds", "train_seconds"),
        **evaluations_to_json(state),
    }


def _print(folder: RunFolder, state: RunState, members: Sequence[RunSummary]) -> None:
    val, test = state.evaluation("val"), state.evaluation("test")
    rows: list[Sequence[object]] = [
        (
            safe_text(f"{member.recipe} {member.run.id}", 40),
            safe_text(member.model, 30),
            member.val_text,
            format_percent(member.test_accuracy),
        )
        for member in members
    ]
    ensemble = (
        f"ensemble {folder.id}",
        safe_text(state.started.model if state.started else "", 30),
        format_percent(val.accuracy if val else None),
        format_percent(test.accuracy if test else None),
    )
    interval = format_percent_range(test.accuracy_low, test.accuracy_high) if test else ""
    rows.append((*(Text(cell, "bold") for cell in ensemble), interval))
    console.print_table(("run", "model", ">val", ">test", ">95 % interval"), rows)
    if test is not None:
        console.line(f"test: {test.count:,} images, read once; members: scores from their records")
    console.line(f"run {folder.path}")

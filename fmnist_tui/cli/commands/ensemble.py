"""`fmnist-tui ensemble`: several trained networks asked as one, beside what each is alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.table import Table
from rich.text import Text

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.console import percent
from fmnist_tui.cli.support.progress import steps
from fmnist_tui.cli.support.run_plan import carried_out
from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.recipes import MOST_SEEDS, Members
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED, Evaluated
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import RunSummary, resolve, summarise
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.text import safe_text

# Of the settings, those that say something of an ensemble whose members are there already.
OF_ENSEMBLE = ("tta", "device", "recipe")
PLAIN: dict[str, Any] = {"tta": None, "device": "auto", "recipe": "ensemble"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="RUN|RECIPE",
        help=f"two runs or more; with --seeds what to train [{recipes.DEFAULT}]",
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="train N members first, each with another seed"
    )
    options.folders(parser)
    options.as_json(parser)
    options.settings(parser)


def run(args: argparse.Namespace) -> int:
    runs_dir = options.runs_dir(args)
    plan = None if args.seeds is None else _plan(args)
    with Session(runs_dir, options.data_dir(args)) as session:
        if plan is None:
            members = [resolve(runs_dir, name) for name in args.names]
            folder = _united(session, members, args)
        else:
            *members, folder = _trained(session, plan)
    summaries = [summarise(member) for member in members]
    state = replay(folder.events)
    if args.json:
        console.document(as_document(folder, state, summaries))
    else:
        _show(folder, state, summaries)
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    """The members' trainings and what they are to become."""
    if not 2 <= args.seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds {args.seeds}: must be 2 to {MOST_SEEDS}")
    if len(args.names) > 1:
        raise UsageError("--seeds trains one recipe: name one, or leave --seeds out")
    recipe = recipes.load(args.names[0] if args.names else recipes.DEFAULT)
    if recipe.stages:
        raise UsageError(
            f"{recipe.name} has stages: run it with several --seed, then give `ensemble` the runs"
        )
    given = {**recipes.from_environment(), **options.given(args)}
    views = recipe.ensemble.tta if recipe.ensemble else recipe.config(**given).tta
    members = Members(args.seeds, given.pop("tta", views))
    return Plan.of(replace(recipe, ensemble=members), given)


def _trained(session: Session, plan: Plan) -> list[RunFolder]:
    """The runs of the plan, its ensemble last. A member that does not finish ends it all;
    those before it stay as they are."""
    folders: list[RunFolder] = []
    for done in carried_out(session, plan):
        if done.folder is not None and done.state.ended == FINISHED:
            folders.append(done.folder)
            continue
        if folders:
            names = " ".join(safe_text(folder.id) for folder in folders)
            console.note(f"no ensemble was made; the finished members stay: {names}")
        if done.status:
            raise SystemExit(done.status)
        raise done.error or UserError(
            f"{safe_text(done.name)} did not finish: {safe_text(done.state.message)}"
        )
    return folders


def _united(session: Session, members: Sequence[RunFolder], args: argparse.Namespace) -> RunFolder:
    given = options.given(args)
    other = [name for name in given if name not in OF_ENSEMBLE]
    if other:
        raise UsageError(
            f"--{other[0].replace('_', '-')} is for training: these runs are trained already"
            " (--seeds N trains new ones)"
        )
    with steps("ensemble") as tell:
        return session.ensemble(members, **{**PLAIN, **given}, tell=tell).result()


def as_document(
    folder: RunFolder, state: RunState, members: Sequence[RunSummary]
) -> dict[str, Any]:
    """An ensemble as the command's JSON has it."""

    def judged(found: Evaluated | None) -> dict[str, Any] | None:
        if found is None:
            return None
        return {
            "accuracy": found.accuracy,
            "accuracy_ci95": [found.accuracy_low, found.accuracy_high],
            "loss": found.loss,
            "count": found.count,
        }

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
        "val": judged(state.verdict("val")),
        "test": judged(state.verdict("test")),
    }


def _show(folder: RunFolder, state: RunState, members: Sequence[RunSummary]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "model", "val", "test", "95 % interval"):
        table.add_column(heading, justify="left" if heading in ("run", "model") else "right")
    for member in members:
        name = Text(safe_text(f"{member.recipe} {member.run.id}", 40))
        model = Text(safe_text(member.model, 30))
        found = (percent(member.best_val_accuracy), percent(member.test_accuracy))
        table.add_row(name, model, *found)
    val, test = state.verdict("val"), state.verdict("test")
    table.add_row(
        Text(f"ensemble {folder.id}", "bold"),
        Text(safe_text(state.started.model if state.started else "", 30), "bold"),
        Text(percent(val.accuracy if val else None), "bold"),
        Text(percent(test.accuracy if test else None), "bold"),
        f"{test.accuracy_low * 100:.2f} – {test.accuracy_high * 100:.2f} %" if test else "",
    )
    out = console.console()
    out.print(table)
    if test is not None:
        out.print(f"test: {test.count:,} images, read once; members as their own records have them")
    out.print(f"run {safe_text(folder.path)}", soft_wrap=True, markup=False)

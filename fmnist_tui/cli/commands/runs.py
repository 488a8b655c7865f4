"""`fmnist-tui runs`: list, show, describe, control, compare, archive and delete runs."""

from __future__ import annotations

import argparse
import sys
import time

from fmnist_tui.cli.support import console, lr_search, options, run_documents
from fmnist_tui.cli.support.progress import show_progress
from fmnist_tui.cli.support.runs import notes
from fmnist_tui.cli.support.runs.run_table import print_runs, to_json
from fmnist_tui.config import run_config
from fmnist_tui.config.problems import format_setting
from fmnist_tui.protocol import commands
from fmnist_tui.protocol.events import LRFIND, SWEEP
from fmnist_tui.protocol.lr_search import LrSearch
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.archive import archive, delete, unarchive
from fmnist_tui.runs.folder import ARCHIVE_FOLDER, RunFolder, list_run_folders
from fmnist_tui.runs.jsonl_reader import EventReader, replay
from fmnist_tui.runs.listing import PAUSED, RUNNING, RunSummary, list_runs, resolve, summarise_run
from fmnist_tui.runs.lock import find_holder
from fmnist_tui.runs.log import send_command
from fmnist_tui.sweeps.run_settings import read_run_settings
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.formatting import (
    format_count,
)
from fmnist_tui.util.text import safe_text

POLL_SECONDS = 0.1
OBEY_SECONDS = 60.0
# The state that follows a command, empty for the end of the run, and a word for what happened.
OUTCOMES = {
    commands.Stop: ("", "stopped"),
    commands.Pause: (PAUSED, "paused"),
    commands.Resume: (RUNNING, "resumed"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, part in options.add_actions(parser, ACTIONS):
        if name == "compare":
            part.add_argument("names", nargs="+", metavar="RUN", help="two or more runs")
        elif name != "list":
            options.add_run(part)
        if name == "set":
            part.add_argument("setting", metavar="lr=RATE", help="the new learning rate")
        if name == "lrfind":
            lr_search.add_range(part)
        if name in notes.ACTIONS:
            notes.add_arguments(name, part)
        if name == "delete":
            part.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        if name in ("stop", "pause", "resume"):
            about = "return without waiting until the run has obeyed"
            part.add_argument("--no-wait", action="store_true", help=about)
        options.add_common(part, data=False)


def run(args: argparse.Namespace) -> int | None:
    return ACTIONS[args.action][1](args)


def _list(args: argparse.Namespace) -> None:
    runs_dir = options.require_runs_dir(args)
    summaries = list_runs(runs_dir)
    if args.json:
        console.print_json([to_json(summary) for summary in summaries])
    elif not summaries:
        console.note(f"there are no runs in {runs_dir} yet; `fmnist-tui train` starts one")
    else:
        print_runs(summaries)


def _show(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    summary, state = summarise_run(folder), replay(folder.events)
    if summary.kind == SWEEP:
        from fmnist_tui.cli.support.sweeps.studies import print_sweep_run

        print_sweep_run(folder, to_json(summary), as_json=args.json)
        return
    own = read_run_settings(folder, summary.kind).own if folder.config.exists() else None
    if args.json:
        is_search = summary.kind == LRFIND
        console.print_json(
            {
                **run_documents.training_to_json(state, folder),
                **to_json(summary),
                "other_evaluations": run_documents.other_evaluations_to_json(state),
                "readings": state.record.readings,
                "search": lr_search.to_json(state.search, folder) if is_search else None,
                "config": own,
                "epochs_table": run_documents.epochs_to_json(state),
                "checkpoints": [checkpoint.file for checkpoint in state.checkpoints.values()],
                "unreadable_lines": state.unreadable_lines,
                "alerts": [f"{alert.level}: {alert.message}" for alert in state.alerts],
            }
        )
        return
    from fmnist_tui.cli.support.run_summary import print_run

    process = f", {summary.holder}" if summary.holder else ""
    name = f' "{summary.notes.name}"' if summary.notes.name else ""
    console.line(f"{folder.name}{name}: {summary.state}{process}")
    if own is not None:
        defaults = run_config.RunConfig().model_dump()
        changed = [
            f"{key} {format_setting(value)}" for key, value in own.items() if value != defaults[key]
        ]
        console.line(", ".join(changed) or "all settings at their defaults")
    notes.print_notes(summary.notes)
    print_run(state, folder)
    for alert in state.alerts:
        console.line(f"{alert.level}: {alert.message}")
    if state.unreadable_lines:
        lines = format_count(state.unreadable_lines, "line")
        console.line(f"warning: {lines} of {folder.events.name} cannot be read and are left out")


def _send(args: argparse.Namespace, command: commands.Command, done: str) -> None:
    """Send a live run a command; wait until a stop, a pause or its end has happened."""
    folder = options.find_run(args)
    state, what = OUTCOMES.get(type(command), ("", ""))
    if state and (refusal := summarise_run(folder).refusal(what)):
        raise UserError(refusal)
    send_command(folder, command)
    if not what or args.no_wait:
        summary = summarise_run(folder)
    else:
        summary = _wait_for(folder, state, what)
        done = what if not state or summary.state == state else summary.state
    console.print_done(args.json, to_json(summary), f"{folder.name}: {done}")


def _wait_for(folder: RunFolder, state: str, what: str) -> RunSummary:
    """Wait until a run has this state or has ended."""
    deadline = time.monotonic() + OBEY_SECONDS
    while (summary := summarise_run(folder)).is_live and summary.state != state:
        if time.monotonic() > deadline:
            seconds = f"{OBEY_SECONDS:.0f} s"
            raise UserError(f"{folder.name} was asked, but is not {what} after {seconds}")
        time.sleep(POLL_SECONDS)
    return summary


def _set(args: argparse.Namespace) -> None:
    key, equals, text = args.setting.partition("=")
    if key.strip() != "lr" or not equals:
        raise UsageError(
            f"{safe_text(args.setting)!r} cannot be set during a run: only lr=RATE can"
        )
    rate = run_config.parse_setting("lr", text)
    if problems := run_config.find_problems({"lr": rate}):
        raise UsageError(str(problems[0]))
    command = commands.SetLearningRate(time.time(), float(rate))
    _send(args, command, "changing the learning rate")


def _find_lr(args: argparse.Namespace) -> int:
    folder = options.find_run(args)
    rates = lr_search.parse_range(args)
    refusal = summarise_run(folder).refusal("searched")
    if refusal:
        raise UserError(refusal)
    tail = EventReader(folder.events, folder.events.stat().st_size if folder.events.exists() else 0)
    command = commands.FindLearningRate(time.time(), rates.low, rates.high, rates.steps)
    send_command(folder, command)
    try:
        search = _wait_for_search(folder, tail)
    except KeyboardInterrupt:
        send_command(folder, commands.CancelSearch(time.time()))
        raise
    runs = [f"--runs={args.runs}"] if args.runs else []
    words = ["runs", "set", folder.id, *runs, "lr"]
    return lr_search.print_result(search, folder, words, as_json=args.json)


def _wait_for_search(folder: RunFolder, tail: EventReader) -> LrSearch:
    """Show the progress of the search that the run was asked for, and return it when it ends."""
    state = RunState()
    with show_progress("finding a learning rate") as on_progress:
        while True:
            # Checked first, so that all events before the end of the run are read.
            is_live = find_holder(folder.path) is not None
            for event in tail.read():
                state.apply(event)
                if state.search is not None and state.search.end is not None:
                    return state.search
            if not is_live:
                raise UserError(f"the run {folder.name} ended before the search did")
            if state.search is not None and state.search.points:
                lr, loss = state.search.points[-1]
                done, total = len(state.search.points), state.search.probes
                on_progress(done, total, f"lr {lr:.2g} loss {loss:.3g}")
            time.sleep(POLL_SECONDS)


def _compare(args: argparse.Namespace) -> None:
    from fmnist_tui.cli.support.runs.comparison import print_comparison

    print_comparison(args)


def _archive(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    archived = archive(folder)
    document = {"run": folder.name, "path": str(archived.path)}
    console.print_done(
        args.json,
        document,
        f"{folder.name} is now in {archived.path.parent};"
        f" `fmnist-tui runs unarchive {folder.id}` moves it back",
    )


def _unarchive(args: argparse.Namespace) -> None:
    archive_dir = options.runs_dir(args) / ARCHIVE_FOLDER
    if not list_run_folders(archive_dir):
        raise UserError(f"there are no archived runs in {safe_text(archive_dir)}")
    restored = unarchive(
        options.find_run(args) if "/" in args.run else resolve(archive_dir, args.run)
    )
    document = {"run": restored.name, "path": str(restored.path)}
    console.print_done(args.json, document, f"{restored.name} is back in {restored.path.parent}")


def _delete(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError("cannot ask for confirmation without a terminal: give --yes")
        console.note(f"permanently delete {folder.name} and its checkpoints? [y/N]")
        if input().strip().lower() not in ("y", "yes"):
            raise UserError("nothing was deleted")
    delete(folder)
    document = {"run": folder.name, "deleted": True}
    console.print_done(args.json, document, f"{folder.name}: deleted")


ACTIONS: options.Actions = {
    "list": ("list all runs, newest first", _list),
    "show": ("show a run: settings, curves, scores, alerts", _show),
    "stop": (
        "save and stop a live run",
        lambda args: _send(args, commands.Stop(time.time(), "runs stop"), "stopping"),
    ),
    "pause": ("pause a live run", lambda args: _send(args, commands.Pause(time.time()), "pausing")),
    "resume": (
        "resume a paused run",
        lambda args: _send(args, commands.Resume(time.time()), "resuming"),
    ),
    "checkpoint": (
        "have a live run save a checkpoint now",
        lambda args: _send(args, commands.SaveCheckpoint(time.time()), "saving a checkpoint"),
    ),
    "set": ("change the learning rate of a live run", _set),
    "lrfind": ("find a learning rate for a live run, which then continues unchanged", _find_lr),
    "compare": ("compare the results of runs and the settings in which they differ", _compare),
    **notes.ACTIONS,
    "archive": ("move a run to the archive folder", _archive),
    "unarchive": ("move a run back from the archive folder", _unarchive),
    "delete": ("delete a run permanently", _delete),
}

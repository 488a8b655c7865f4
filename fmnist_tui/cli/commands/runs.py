"""`fmnist-tui runs`: list, look into, steer, compare, put away."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from fmnist_tui.cli.commands import lrfind
from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.console import duration, percent
from fmnist_tui.config import recipes, run_config
from fmnist_tui.config.problems import format_setting
from fmnist_tui.protocol import commands
from fmnist_tui.protocol.events import SWEEP
from fmnist_tui.runs.archive import archive, delete
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import RunSummary, list_runs, resolve, summarise
from fmnist_tui.runs.log import CommandBox
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.text import safe_text

STOP_SECONDS = 60.0
COLOURS = {
    "running": "green",
    "paused": "yellow",
    "finished": "",
    "stopped": "yellow",
    "detached": "cyan",
    "failed": "red",
    "crashed": "red",
    "broken": "red",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (about, _) in ACTIONS.items():
        part = actions.add_parser(name, help=about, description=about)
        if name == "compare":
            part.add_argument("runs_given", nargs="+", metavar="RUN", help="two runs or more")
        elif name != "list":
            part.add_argument("run", metavar="RUN", help="id, part of the name, `last`, or a path")
        if name == "set":
            part.add_argument("setting", metavar="lr=RATE", help="the learning rate from now on")
        if name == "lrfind":
            lrfind.asked(part)
        if name == "delete":
            part.add_argument("--yes", action="store_true", help="do not ask")
        if name == "stop":
            part.add_argument("--no-wait", action="store_true", help="do not wait for its end")
        options.folders(part, data=False)
        options.as_json(part)


def run(args: argparse.Namespace) -> int:
    return ACTIONS[args.action][1](args)


def as_document(summary: RunSummary) -> dict[str, Any]:
    """A run as JSON documents list it."""
    return {
        "run": summary.run.name,
        "id": summary.run.id,
        "path": str(summary.run.path),
        "kind": summary.kind,
        "state": summary.state,
        "reason": summary.reason,
        "recipe": summary.recipe,
        "dataset": summary.dataset,
        "model": summary.model,
        "synthetic": summary.synthetic,
        "epochs": summary.epochs_done,
        "epochs_total": summary.epochs_total,
        "val_accuracy": summary.best_val_accuracy,
        "test_accuracy": summary.test_accuracy,
        "seconds": summary.seconds,
        "started": summary.started,
        "pid": summary.holder.pid if summary.holder else None,
    }


def _list(args: argparse.Namespace) -> int:
    found = list_runs(options.runs_dir(args))
    if args.json:
        console.document([as_document(summary) for summary in found])
        return 0
    if not found:
        console.note("there are no runs yet; `fmnist-tui train` makes one")
        return 0
    out = console.console()
    headings = ["id", "state", "recipe", "data", "model", "epochs", "val", "test", "time", "when"]
    # What a narrow terminal can do without: the recipe's name mostly tells the model.
    hidden = {"model": out.width < 110, "when": out.width < 96}
    kept = [heading for heading in headings if not hidden.get(heading)]
    table = Table(box=None, pad_edge=False)
    for heading in kept:
        right = heading in ("epochs", "val", "test", "time")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for summary in found:
        cells: dict[str, str | Text] = {
            "id": safe_text(summary.run.id, 24),
            "state": Text(summary.state, style=COLOURS.get(summary.state, "")),
            "recipe": Text(safe_text(summary.title, 20)),
            "data": Text(safe_text(summary.dataset, 20)),
            "model": Text(safe_text(summary.model, 20)),
            "epochs": _epochs(summary),
            "val": percent(summary.best_val_accuracy),
            "test": percent(summary.test_accuracy),
            "time": duration(summary.seconds),
            "when": f"{datetime.fromtimestamp(summary.started):%Y-%m-%d %H:%M}",
        }
        table.add_row(*(cells[heading] for heading in kept))
    out.print(table)
    return 0


def _epochs(summary: RunSummary) -> str:
    total = summary.epochs_total
    return f"{summary.epochs_done}/{total}" if total else "–"


def _show(args: argparse.Namespace) -> int:
    from fmnist_tui.cli.support.run_summary import summary as print_summary

    folder = resolve(options.runs_dir(args), args.run)
    glance, state = summarise(folder), replay(folder.events)
    if glance.kind == SWEEP:
        from fmnist_tui.cli.support import studies

        return studies.show_run(folder, as_document(glance), as_json=args.json)
    settings = recipes.read(folder.config).config() if folder.config.exists() else None
    if args.json:
        console.document(
            {
                **as_document(glance),
                "config": settings.model_dump() if settings else None,
                "epochs_table": [
                    {
                        "epoch": ended.epoch,
                        "step": ended.step,
                        "train_loss": _finite(ended.train_loss),
                        "train_accuracy": ended.train_accuracy,
                        "val_loss": _finite(ended.val_loss),
                        "val_accuracy": ended.val_accuracy,
                        "lr": ended.lr,
                        "seconds": ended.seconds,
                        "images_per_second": ended.images_per_second,
                        "best": ended.best,
                    }
                    for ended in state.epochs
                ],
                "checkpoints": [saved.file for saved in state.checkpoints.values()],
                "alerts": [f"{alert.level}: {alert.message}" for alert in state.alerts],
            }
        )
        return 0
    holder = f", {glance.holder}" if glance.holder else ""
    print(f"{folder.name}: {glance.state}{holder}")
    if settings is not None:
        plain = run_config.RunConfig()
        changed = [
            f"{key} {format_setting(mine)}"
            for key, (_, mine) in plain.differences(settings).items()
        ]
        print(", ".join(changed) or "every setting at its default")
    print_summary(state, folder)
    for alert in state.alerts:
        print(safe_text(f"{alert.level}: {alert.message}"))
    return 0


def _finite(value: float | None) -> float | None:
    return value if value is not None and value - value == 0 else None


def _send(
    make: Callable[[argparse.Namespace], commands.Command],
) -> Callable[[argparse.Namespace], int]:
    def act(args: argparse.Namespace) -> int:
        folder = resolve(options.runs_dir(args), args.run)
        command = make(args)
        CommandBox.send(folder, command)
        if isinstance(command, commands.Stop) and not args.no_wait:
            _wait_for_end(folder)
        if args.json:
            console.document(as_document(summarise(folder)))
        else:
            console.note(f"{folder.name}: {args.action}")
        return 0

    return act


def _wait_for_end(folder: RunFolder) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while summarise(folder).is_live:
        if time.monotonic() > deadline:
            raise UserError(
                f"{folder.name} was told to stop and has not ended in {STOP_SECONDS:.0f} s"
            )
        time.sleep(0.1)


def _setting(args: argparse.Namespace) -> commands.Command:
    key, equals, text = args.setting.partition("=")
    if key.strip() != "lr" or not equals:
        raise UsageError(
            f"{safe_text(args.setting)!r} cannot be set while a run goes on: lr=RATE can"
        )
    rate = run_config.parse("lr", text)
    found = run_config.problems({"lr": rate})
    if found:
        raise UsageError(str(found[0]))
    return commands.SetLearningRate(time.time(), float(rate))


def _compare(args: argparse.Namespace) -> int:
    if len(args.runs_given) < 2:
        raise UsageError("compare takes two runs or more")
    runs_dir = options.runs_dir(args)
    folders = [resolve(runs_dir, text) for text in args.runs_given]
    glances = [summarise(folder) for folder in folders]
    settings = [recipes.read(folder.config).config().model_dump() for folder in folders]
    differing = [
        key for key in settings[0] if any(other[key] != settings[0][key] for other in settings[1:])
    ]
    if args.json:
        console.document(
            {
                "runs": [as_document(glance) for glance in glances],
                "differences": {key: [values[key] for values in settings] for key in differing},
            }
        )
        return 0
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for folder in folders:
        table.add_column(Text(safe_text(folder.id, 24)), justify="right")
    rows = {
        "state": [glance.state for glance in glances],
        "val": [percent(glance.best_val_accuracy) for glance in glances],
        "test": [percent(glance.test_accuracy) for glance in glances],
        "time": [duration(glance.seconds) for glance in glances],
        **{key: [format_setting(values[key]) for values in settings] for key in differing},
    }
    for heading, cells in rows.items():
        table.add_row(heading, *(Text(cell) for cell in cells))
    console.console().print(table)
    return 0


def _archive(args: argparse.Namespace) -> int:
    folder = resolve(options.runs_dir(args), args.run)
    moved = archive(folder)
    if args.json:
        console.document({"run": folder.name, "path": str(moved.path)})
    else:
        console.note(f"{folder.name} is now in {moved.path.parent}")
    return 0


def _delete(args: argparse.Namespace) -> int:
    folder = resolve(options.runs_dir(args), args.run)
    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to ask: give --yes to delete without a question")
        console.note(f"delete {folder.name} with its checkpoints for good? [y/N]")
        if input().strip().lower() not in ("y", "yes"):
            raise UserError("nothing was deleted")
    delete(folder)
    if args.json:
        console.document({"run": folder.name, "deleted": True})
    else:
        console.note(f"{folder.name} is deleted")
    return 0


ACTIONS: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "list": ("all runs, newest first", _list),
    "show": ("everything about a run", _show),
    "stop": (
        "have a live run save and end",
        _send(lambda args: commands.Stop(time.time(), "told to")),
    ),
    "pause": ("hold a live run", _send(lambda args: commands.Pause(time.time()))),
    "resume": ("let a paused run go on", _send(lambda args: commands.Resume(time.time()))),
    "checkpoint": (
        "have a live run keep a checkpoint now",
        _send(lambda args: commands.SaveCheckpoint(time.time())),
    ),
    "set": ("change a live run's learning rate", _send(_setting)),
    "lrfind": (
        "find a learning rate for a live run, which then goes on as if nothing had been",
        lrfind.live,
    ),
    "compare": ("what runs came to, and in what their settings differ", _compare),
    "archive": ("move a run into the archive folder", _archive),
    "delete": ("remove a run for good", _delete),
}

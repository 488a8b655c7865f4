"""`fmnist-tui train --detach`: start a run in a background process, and return once it started."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.follow import defer_signals, exit_status
from fmnist_tui.config.plans import Plan
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import POLL_SECONDS, DetachedTraining, Launch

STOP_SECONDS = 30.0


def train_detached(
    args: argparse.Namespace,
    resumed: RunFolder | None,
    parent: RunFolder | None,
    plan: Plan,
    launch: Launch,
) -> int:
    """Do what `train` was asked to do in a process of its own; 0 once the run has started."""
    command = train_command(args, resumed, parent)
    with defer_signals() as received:
        training = DetachedTraining(command.words, command.runs_dir, resumed, launch)
        with contextlib.closing(training):
            folder = training.await_run(lambda: bool(received), console.note)
            if folder is None:
                _stop(training)
                console.note("stopped before the run started")
                return exit_status(received)
    pid = training.process
    if args.json:
        console.print_json({"run": folder.name, "path": str(folder.path), "pid": pid})
        return 0
    name = folder.name
    where = f" --runs {shlex.quote(args.runs)}" if args.runs else ""
    console.line(f"{name} is training in the background, process {pid}")
    console.line(f"  fmnist-tui attach {name}{where}")
    console.line(f"  fmnist-tui runs stop {name}{where}")
    if len(plan.steps) > 1:
        console.line(f"{plan.heading}; the process continues with the other steps of {plan.recipe}")
    return 0


@dataclass(frozen=True, slots=True)
class TrainCommand:
    """The words of a `train` command for another process, and the runs folder in them."""

    words: list[str]
    runs_dir: Path


def train_command(
    args: argparse.Namespace, resumed: RunFolder | None, parent: RunFolder | None
) -> TrainCommand:
    """What `train` was asked to do, for a process that may be in another folder."""
    runs_dir = options.runs_dir(args).absolute()
    values = {
        "runs": runs_dir,
        "data": options.data_dir(args).absolute(),
        "config": args.config,
        "plan": args.plan,
        "resume": resumed.path.absolute() if resumed else None,
        "fork": parent.path.absolute() if parent else None,
        "checkpoint": args.checkpoint,
        **options.raw_settings(args),
    }
    recipe = [args.recipe_name] if args.recipe_name else []
    return TrainCommand(["train", *recipe, *options.format_flags(values)], runs_dir)


def _stop(training: DetachedTraining) -> None:
    training.stop()
    deadline = time.monotonic() + STOP_SECONDS
    while training.is_alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)

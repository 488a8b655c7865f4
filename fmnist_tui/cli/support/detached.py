"""`fmnist-tui train --detach`: start a run in a background process, and return once it started."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import time
from pathlib import Path

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.follow import defer_signals, exit_status
from fmnist_tui.config.plans import Plan
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import (
    POLL_SECONDS,
    HandoverOutput,
    has_process,
    run_finder,
    start_detached,
    wait_for_run,
)

STOP_SECONDS = 30.0


def train_detached(
    args: argparse.Namespace, resumed: RunFolder | None, parent: RunFolder | None, plan: Plan
) -> int:
    """Do what `train` was asked to do in a process of its own; 0 once the run has started."""
    runs_dir = options.runs_dir(args).absolute()
    find_run = run_finder(runs_dir, resumed)
    with (
        defer_signals() as received,
        HandoverOutput.for_run(resumed)
        if resumed
        else HandoverOutput.temporary(runs_dir) as output,
    ):
        pid = start_detached(_command(args, runs_dir, resumed, parent), output)
        folder = wait_for_run(pid, find_run, output, lambda: bool(received), console.note)
        if folder is None:
            _stop(pid)
            console.note("stopped before the run started")
            return exit_status(received)
        output.move_to(folder)
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


def _command(
    args: argparse.Namespace, runs_dir: Path, resumed: RunFolder | None, parent: RunFolder | None
) -> list[str]:
    values = {
        "runs": runs_dir,
        "data": options.data_dir(args).absolute(),
        "config": args.config,
        "resume": resumed.path.absolute() if resumed else None,
        "fork": parent.path.absolute() if parent else None,
        "checkpoint": args.checkpoint,
        **options.raw_settings(args),
    }
    recipe = [args.recipe_name] if args.recipe_name else []
    return ["train", *recipe, *options.format_flags(values)]


def _stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while has_process(pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)

"""`fmnist-tui train --detach`: start a run in a background process, and return once it started."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.follow import defer_signals, exit_status
from fmnist_tui.config.plans import Plan
from fmnist_tui.protocol.events import RunStarted
from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.runs.handover import HandoverOutput, start_detached
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.util.errors import ERROR_PREFIX, UserError
from fmnist_tui.util.text import safe_text

POLL_SECONDS = 0.1
STOP_SECONDS = 30.0

# The run that the process with this ID has started, or None if it has not yet.
FindRun = Callable[[int], RunFolder | None]


def train_detached(
    args: argparse.Namespace, resumed: RunFolder | None, parent: RunFolder | None, plan: Plan
) -> int:
    """Do what `train` was asked to do in a process of its own; 0 once the run has started."""
    runs_dir = options.runs_dir(args).absolute()
    find_run = _run_finder(runs_dir, resumed)
    with (
        defer_signals() as received,
        HandoverOutput.for_run(resumed)
        if resumed
        else HandoverOutput.temporary(runs_dir) as output,
    ):
        pid = start_detached(_command(args, runs_dir, resumed, parent), output)
        folder = _wait_for_run(pid, find_run, output, received)
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


def _run_finder(runs_dir: Path, resumed: RunFolder | None) -> FindRun:
    """Make a FindRun.

    Call this before the process starts: runs and events that exist by then are not its own."""
    offset = 0
    existing = set() if resumed else {folder.name for folder in list_run_folders(runs_dir)}
    if resumed is not None and resumed.events.exists():
        offset = resumed.events.stat().st_size

    def find_run(pid: int) -> RunFolder | None:
        process = (socket.gethostname(), pid)
        for folder in [resumed] if resumed else list_run_folders(runs_dir):
            if folder.name not in existing and any(
                isinstance(event, RunStarted) and (event.host, event.pid) == process
                for event in EventReader(folder.events, offset).read()
            ):
                return folder
        return None

    return find_run


def _wait_for_run(
    pid: int, find_run: FindRun, output: HandoverOutput, received: list[int]
) -> RunFolder | None:
    """The run once it has started, or None after a signal; prints the process's output. The
    error lines of a process that ends instead are the error."""
    errors: list[str] = []
    last = "without any output"
    while not received:
        # Checked first, so that all the process did before it ended is seen.
        is_alive = _is_alive(pid)
        folder = find_run(pid)
        if folder is not None:
            return folder
        for last in output.read_lines():
            if last.startswith(ERROR_PREFIX):
                errors.append(last.removeprefix(ERROR_PREFIX))
            else:
                console.note(last)
        if not is_alive:
            raise UserError("\n".join(errors) or f"the run's process ended: {safe_text(last)}")
        time.sleep(POLL_SECONDS)
    return None


def _is_alive(pid: int) -> bool:
    import psutil

    try:
        # In a container there may be no init process to reap it.
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)

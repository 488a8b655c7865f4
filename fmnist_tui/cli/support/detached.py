"""`fmnist-tui train --detach`: start the run in a process of its own, and be gone.

The command stays until the run has begun, so that whatever keeps it from beginning is
said where it was asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import run_config
from fmnist_tui.config.plans import Plan
from fmnist_tui.protocol.events import RunStarted
from fmnist_tui.runs.folder import RunFolder, run_folders
from fmnist_tui.runs.handover import HandoverOutput, start
from fmnist_tui.runs.jsonl_reader import EventTail
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

LOOK_SECONDS = 0.1
STOP_SECONDS = 30.0
# How every error begins that a command prints (`output.error`).
PREFIX = "fmnist-tui: "

# The run that a process of this number has begun, once it has.
Find = Callable[[int], RunFolder | None]


def run(
    args: argparse.Namespace, resumed: RunFolder | None, parent: RunFolder | None, plan: Plan
) -> int:
    """Do in another process what `train` was asked to do; the status is 0 once it has begun."""
    runs_dir = options.runs_dir(args).absolute()
    find = _finder(runs_dir, resumed)
    with (
        _signals() as caught,
        HandoverOutput.of(resumed) if resumed else HandoverOutput.aside(runs_dir) as said,
    ):
        process = start(_words(args, runs_dir, resumed, parent), said)
        folder = _wait(process, find, said, caught)
        if folder is None:
            _stop(process)
            console.note("stopped before the run began")
            return 128 + caught[0]
        said.move_to(folder)
    if args.json:
        console.document({"run": folder.name, "path": str(folder.path), "pid": process})
    else:
        where = f" --runs {shlex.quote(args.runs)}" if args.runs else ""
        name = safe_text(folder.name + where)
        print(f"{safe_text(folder.name)} trains in process {process}, without this terminal")
        print(f"  fmnist-tui attach {name}")
        print(f"  fmnist-tui runs stop {name}")
        if len(plan.steps) > 1:
            last = len(plan.steps) - 1
            print(f"it is {plan.heading}; {last} more of {plan.recipe} follow in that process")
    return 0


def _words(
    args: argparse.Namespace, runs_dir: Path, resumed: RunFolder | None, parent: RunFolder | None
) -> list[str]:
    """The arguments of a command that does the same, but stays."""
    words = ["train", f"--runs={runs_dir}", f"--data={options.data_dir(args).absolute()}"]
    if args.recipe_name:
        words.append(args.recipe_name)
    named = {
        "config": args.config,
        "resume": resumed.path.absolute() if resumed else None,
        "fork": parent.path.absolute() if parent else None,
        "checkpoint": args.checkpoint,
        **{name: getattr(args, name) for name in run_config.FIELDS},
    }
    return words + [
        f"--{name.replace('_', '-')}={value}" for name, value in named.items() if value is not None
    ]


def _finder(runs_dir: Path, resumed: RunFolder | None) -> Find:
    """To be called before the process is started: what is there already is not its run."""
    place = 0
    known: set[str] = set()
    if resumed is not None:
        with contextlib.suppress(OSError):
            place = resumed.events.stat().st_size
    else:
        known = {folder.name for folder in run_folders(runs_dir)}

    def find(process: int) -> RunFolder | None:
        new = (folder for folder in run_folders(runs_dir) if folder.name not in known)
        for folder in [resumed] if resumed else new:
            for event in EventTail(folder.events, place).read():
                who = (event.host, event.pid) if isinstance(event, RunStarted) else None
                if who == (socket.gethostname(), process):
                    return folder
        return None

    return find


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Keep Ctrl-C and SIGTERM for later: until the run has begun, its process is ours."""
    caught: list[int] = []
    heeded = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda got, _: caught.append(got)) for number in heeded]
    try:
        yield caught
    finally:
        for number, handler in zip(heeded, before, strict=True):
            signal.signal(number, handler)


def _wait(process: int, find: Find, said: HandoverOutput, caught: list[int]) -> RunFolder | None:
    """The run, once it has begun; None where a signal comes first. What the process says
    until then is passed on; if it ends instead, its last words are the error."""
    errors: list[str] = []
    last = "without a word"
    while not caught:
        # Asked first: all that it did before its end is then seen.
        lives = _lives(process)
        folder = find(process)
        if folder is not None:
            return folder
        for last in said.lines():
            if last.startswith(PREFIX):
                errors.append(last.removeprefix(PREFIX))
            else:
                console.note(last)
        if not lives:
            raise UserError("\n".join(errors) or f"the run's process ended: {safe_text(last)}")
        time.sleep(LOOK_SECONDS)
    return None


def _lives(process: int) -> bool:
    import psutil

    try:
        # In a container nobody may be there to reap it.
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _stop(process: int) -> None:
    """Have it save and end, and wait until it has."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _lives(process) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)

"""A worker of a sweep in this process, alone or as one of several.

The standard input of one of several tells it when the process that started it is gone: it then
returns its trial to the study and ends, and deletes the folder that they share.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import fmnist_tui
from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.follow import (
    exit_immediately,
    exit_status,
    format_stopping,
    handle_signals,
    why_abandoned,
)
from fmnist_tui.cli.support.progress import show_progress
from fmnist_tui.cli.support.sweeps.result import SweepResult
from fmnist_tui.engine.sweep.sweep_runner import SweepRunner
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps.study import StudyLedger
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text


def work(args: argparse.Namespace, ledger: StudyLedger, group: Path | None = None) -> SweepResult:
    """Run trials until the study has all of them, or those that --trials asks for."""
    spec = ledger.spec
    folder = RunFolder.create(options.runs_dir(args), spec.name, spec.base.dataset)
    with folder.deleted_on_error():
        _write_config(folder, ledger)
    with options.open_session(args) as session, show_progress(f"sweep {spec.name}") as on_progress:
        sweep = SweepRunner(
            session,
            ledger,
            folder,
            limit=args.trials,
            group=group,
            on_progress=on_progress,
            on_message=console.note,
        )

        def stop(name: str) -> None:
            sweep.stop(name)
            if group is None:
                doing = "returning the trial to the study"
                console.note(format_stopping(name, doing, "quit at once"))

        def interrupt(number: int) -> NoReturn:
            raise KeyboardInterrupt(number)

        if group is not None:

            def end_orphaned() -> None:
                sweep.stop("the process that started it has ended")
                shutil.rmtree(group, ignore_errors=True)

            _call_when_orphaned(end_orphaned)
        with handle_signals(stop, interrupt) as received:
            try:
                outcome = sweep.run()
            except KeyboardInterrupt as interrupted:
                [number] = interrupted.args
                if sweep.training is not None:
                    sweep.training.record_end(why_abandoned(number), 0, 0)
                exit_immediately(number)
    status = exit_status(received)
    return SweepResult(outcome.reason, outcome.message, outcome.done, status, folder)


def _call_when_orphaned(call: Callable[[], None]) -> None:
    """Call it, in a thread, once the process at the other end of the standard input has ended."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 1):
                pass
        call()

    threading.Thread(target=wait, name="orphaned", daemon=True).start()


def _write_config(folder: RunFolder, ledger: StudyLedger) -> None:
    storage = ledger.location.public_url
    made_with = {"fmnist_tui": fmnist_tui.__version__, "storage": storage}
    try:
        text = specs.to_toml(ledger.spec, made_with)
        atomic_write(folder.config, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise UserError(
            f"cannot write {safe_text(folder.config)}: {format_error(error)}"
        ) from error

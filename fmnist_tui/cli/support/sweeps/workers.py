"""`fmnist-tui sweep start --workers N`: processes that work on one study, followed as one sweep.

Each is a `sweep start` of its own (see `worker`), with its share of this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.follow import (
    exit_immediately,
    exit_status,
    format_stopping,
    handle_signals,
)
from fmnist_tui.cli.support.progress import show_parts
from fmnist_tui.cli.support.sweeps.result import SweepResult
from fmnist_tui.cli.support.sweeps.shares import GROUP_VARIABLE, Share, share_machine
from fmnist_tui.config.gpu_detect import visible_gpus
from fmnist_tui.engine.cpu.machine import count_cpus
from fmnist_tui.protocol.events import FAILED, FINISHED, STOPPED
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps.retry import StorageRetry
from fmnist_tui.sweeps.study import StudyCounts, StudyLedger
from fmnist_tui.tui.state.job import RUNNING, BackgroundJob
from fmnist_tui.util.errors import ERROR_PREFIX

GPUS = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS, COUNT_SECONDS = 0.1, 1.0
# How long workers that are told to end at once may take.
END_SECONDS = 10.0


class Worker:
    """One process, and what it has told."""

    def __init__(
        self, number: int, share: Share, words: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.name, self.share = f"worker {number}", share
        self.job = BackgroundJob(
            self.name, words, environment, on_line=self._on_line, ends_with_us=True
        )
        self.is_reported = False

    def _on_line(self, line: str) -> None:
        if not line.startswith(ERROR_PREFIX):
            console.note(f"{self.name}: {line}")

    @property
    def is_running(self) -> bool:
        return self.job.status == RUNNING

    @property
    def done(self) -> float:
        """The trials that it has done; of one that runs, what is done of it."""
        return self.job.done if self.is_running else float(int(self.job.done))

    @property
    def state(self) -> str:
        return str(self._document.get("state", FAILED))

    @property
    def message(self) -> str:
        """Why it ended, if it has not simply finished."""
        if self._document:
            return str(self._document["message"])
        code = self.job.code or 0
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return self.job.error

    @property
    def _document(self) -> dict[str, Any]:
        return self.job.document if isinstance(self.job.document, dict) else {}

    def to_json(self) -> dict[str, Any]:
        known = {key: self._document.get(key) for key in ("run", "path", "trials_here")}
        share = {"gpu": self.share.gpu or None, "threads": self.share.threads}
        return {**known, "state": self.state, "message": self.message, **share}


class WorkerGroup:
    """Starts the workers of a sweep in a folder that they share, and follows them to the end."""

    def __init__(self, args: argparse.Namespace, ledger: StudyLedger, folder: Path) -> None:
        self._args, self._spec, self._ledger, self._folder = args, ledger.spec, ledger, folder
        self._storage = StorageRetry(console.note)
        self._stop_name = ""
        self._counted_at = 0.0
        self._counts = ledger.counts(str(folder))
        self._workers: list[Worker] = []

    def run(self, shares: Sequence[Share]) -> SweepResult:
        file = self._folder / "sweep.toml"
        file.write_bytes(specs.to_toml(self._spec).encode("utf-8", "surrogateescape"))
        for number, share in enumerate(shares, 1):
            command = self._words(file, share), self._environment(share)
            self._workers.append(Worker(number, share, *command))
        with contextlib.ExitStack() as stack:
            report = stack.enter_context(
                show_parts(f"sweep {self._spec.name}", [worker.name for worker in self._workers])
            )
            received = stack.enter_context(handle_signals(self._stop, self._interrupt))
            stack.callback(self._end_at_once)
            for worker in self._workers:
                worker.job.start()
                console.note(f"{worker.name}: {worker.share}")
            if self._stop_name:
                # Asked for before all had been started.
                self._signal(signal.SIGTERM)
            while self._poll():
                total = self._args.trials or self._spec.trials
                done = self._done_by_others + sum(worker.done for worker in self._workers)
                parts = [(worker.done % 1, worker.job.what) for worker in self._workers]
                report(min(total, done), total, parts)
                time.sleep(POLL_SECONDS)
        return self._outcome(exit_status(received))

    def _words(self, file: Path, share: Share) -> list[str]:
        values = {
            "runs": options.runs_dir(self._args).absolute(),
            "data": options.data_dir(self._args).absolute(),
            "trials": self._args.trials,
            "threads": share.threads,
        }
        return ["sweep", "start", str(file), *options.format_flags(values)]

    def _environment(self, share: Share) -> dict[str, str]:
        environment = {GROUP_VARIABLE: str(self._folder)}
        if self._args.storage:
            # Not as an argument, which every user of the machine could read.
            environment[storage.VARIABLE] = self._args.storage
        if share.gpu:
            environment[GPUS] = share.gpu
        return environment

    def _stop(self, name: str) -> None:
        """Ask all workers to end; they return their trials to the study."""
        self._stop_name = name
        console.note(format_stopping(name, "returning the trials to the study", "quit at once"))
        self._signal(signal.SIGTERM)

    def _interrupt(self, number: int) -> NoReturn:
        # They record why their trials have no end.
        self._signal(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)
        exit_immediately(number)

    def _signal(self, number: int) -> None:
        for worker in self._workers:
            worker.job.send(number)

    def _end_at_once(self) -> None:
        """Leave no worker behind, whatever has gone wrong here."""
        self._signal(signal.SIGQUIT)
        for worker in self._workers:
            if not worker.job.wait(END_SECONDS):
                worker.job.send(signal.SIGKILL)

    def _poll(self) -> bool:
        """Take in what the workers have told; whether any is running."""
        for worker in self._workers:
            worker.job.poll()
        running = [worker for worker in self._workers if worker.is_running]
        for worker in self._workers:
            if not worker.is_running and not worker.is_reported:
                worker.is_reported = True
                self._report_end(worker, len(running))
        now = time.monotonic()
        if running and now - self._counted_at >= COUNT_SECONDS:
            self._counted_at = now
            self._counts = self._storage.attempt(self._count) or self._counts
        return bool(running)

    def _report_end(self, worker: Worker, others: int) -> None:
        if worker.state != FAILED or self._stop_name:
            return
        others_go_on = "; the others go on, and try its trial again" if others else ""
        console.note(f"{worker.name} ended: {worker.message}{others_go_on}")

    def _count(self) -> StudyCounts:
        return self._ledger.counts(str(self._folder))

    @property
    def _done_by_others(self) -> int:
        """Trials in the total that have ended in other processes: before, or elsewhere."""
        return 0 if self._args.trials else self._counts.ended - self._counts.ended_of_group

    def _outcome(self, status: int) -> SweepResult:
        self._counts = self._storage.retry(self._count)
        done = self._counts.ended_of_group
        documents = tuple(worker.to_json() for worker in self._workers)
        if status:
            return SweepResult(STOPPED, self._stop_name, done, status, workers=documents)
        # A worker that was lost is no failure where the others have done its trials.
        states = {worker.state for worker in self._workers}
        reason = FINISHED if FINISHED in states else STOPPED if STOPPED in states else FAILED
        messages = (worker.message for worker in self._workers if worker.state == reason)
        message = next(filter(None, messages), "")
        return SweepResult(reason, message, done, workers=documents)


def run_workers(args: argparse.Namespace, ledger: StudyLedger, count: int) -> SweepResult:
    """Work on the study with `count` processes, until it has its trials."""
    shares, notes = share_machine(ledger.spec.base, count, visible_gpus(), count_cpus())
    for note in notes:
        console.note(note)
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-sweep-") as folder:
        return WorkerGroup(args, ledger, Path(folder)).run(shares)

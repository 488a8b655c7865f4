"""A training as other threads see it: send it commands, read its events.

Imports no torch, so that a screen can hold one. The session's thread fills it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.engine.run.inbox import Inbox
from fmnist_tui.protocol.commands import Command, Stop
from fmnist_tui.protocol.events import STOPPED, Event, RunEnded
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.runs.folder import RunFolder

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Dataset


@dataclass(frozen=True, slots=True)
class ParentRun:
    """The start of a forked run: another run's `last`, `best` or a checkpoint file."""

    folder: RunFolder
    checkpoint: str


class Training:
    """One run of this process, from the request until its end."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder | None = None,
        parent: ParentRun | None = None,
        rate_range: RateRange | None = None,
        trials_dir: Path | None = None,
    ) -> None:
        self.config = config
        self.parent = parent
        # set for a learning-rate search
        self.rate_range = rate_range
        # set for a trial of a sweep: the folder of its trials. A trial does not read the test
        # split and keeps only its best checkpoint
        self.trials_dir = trials_dir
        # None until the dataset is loaded and the run folder created
        self.folder = folder
        # None until it is loaded; for screens that show its images
        self.dataset: Dataset | None = None
        # drained by the reader; the event log on disk is written separately
        self.events: deque[Event] = deque()
        self.load_steps: deque[LoadStep] = deque()
        self.inbox = Inbox()
        self.cancel_loading = threading.Event()
        # what prevented the run or broke it; its traceback is for --debug
        self.error: BaseException | None = None
        self._done = threading.Event()
        self._emit: Callable[[Event], None] | None = None
        self._started = time.time()

    def set_record(self, folder: RunFolder, emit: Callable[[Event], None]) -> None:
        """Called by the session's thread once events can be written."""
        self.folder = folder
        self._emit = emit

    def record_end(self, why: str, step: int, epoch: int) -> None:
        """Write the end of the run now, for a process that is about to exit at once."""
        if self._emit is not None and not self.is_done:
            seconds = time.time() - self._started
            self._emit(RunEnded(time.time(), step, epoch, STOPPED, seconds, why))

    def send(self, command: Command) -> None:
        """Send a command; the run reads it between two steps."""
        if isinstance(command, Stop):
            self.cancel_loading.set()
        self.inbox.send(command)

    def stop(self, why: str = "") -> None:
        """Ask the run to save and end. Returns at once; `wait` waits for the end."""
        self.send(Stop(time.time(), why))

    @property
    def is_done(self) -> bool:
        """Whether the thread has finished with the run: every event is emitted and written."""
        return self._done.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; returns whether it has come in time."""
        return self._done.wait(seconds)

    def finish(self, error: BaseException | None = None) -> None:
        """Called by the session's thread, once."""
        self.error = error
        self._done.set()

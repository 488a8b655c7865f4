"""A training as seen from outside its thread: tell it things, hear what it says.

Free of torch, so that a screen may hold one. The session's thread fills it; any
number of others read.
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
    """Where a forked run begins: another run's `last`, `best`, or a file among its checkpoints."""

    folder: RunFolder
    checkpoint: str


class Training:
    """One run in this process, from the moment it is asked for until it has ended."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder | None = None,
        parent: ParentRun | None = None,
        rates: RateRange | None = None,
        trials: Path | None = None,
    ) -> None:
        self.config = config
        self.parent = parent
        # what to search where the run is a search for a learning rate
        self.rates = rates
        # where a sweep keeps its trials, of which this is one: it is judged on validation
        # alone, and of its checkpoints only the best is kept
        self.trials = trials
        # None until the data are there and the run folder is made
        self.folder = folder
        # None until they are loaded; for whoever shows pictures of them
        self.dataset: Dataset | None = None
        # drained by whoever shows the run; the record on disk is written apart from it
        self.events: deque[Event] = deque()
        self.steps: deque[LoadStep] = deque()
        self.control = Inbox()
        self.cancel_data = threading.Event()
        # what kept the run from starting, or broke it; the traceback is for --debug
        self.error: BaseException | None = None
        self._done = threading.Event()
        self._emit: Callable[[Event], None] | None = None
        self._began = time.time()

    def begin(self, folder: RunFolder, emit: Callable[[Event], None]) -> None:
        """Called by the session's thread once there is a record to write to."""
        self.folder = folder
        self._emit = emit

    def abandon(self, why: str, step: int, epoch: int) -> None:
        """Write the end into the record now, for a process that is about to end itself."""
        if self._emit is not None and not self.done:
            seconds = time.time() - self._began
            self._emit(RunEnded(time.time(), step, epoch, STOPPED, seconds, why))

    def send(self, command: Command) -> None:
        """Tell the run something; it listens between two steps."""
        if isinstance(command, Stop):
            self.cancel_data.set()
        self.control.send(command)

    def stop(self, why: str = "") -> None:
        """Ask the run to save and end. Returns at once: `wait` for the end."""
        self.send(Stop(time.time(), why))

    @property
    def done(self) -> bool:
        """Whether the thread has let go of the run: everything is said and written."""
        return self._done.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; False if it has not come by then."""
        return self._done.wait(seconds)

    def finish(self, error: BaseException | None = None) -> None:
        """Called by the session's thread, once."""
        self.error = error
        self._done.set()

"""A training as other threads see it: send it commands, read its events.

Imports no torch, so that a screen can hold one. The session's thread fills it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.engine.run.run_clock import RunClock
from fmnist_tui.protocol.commands import Command, Stop
from fmnist_tui.protocol.events import STOPPED, Event
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Dataset


class Cancelled(UserError):  # noqa: N818 - not an error
    """The work is no longer needed; the function that does it cleans up and ends."""


class Inbox:
    """The commands to one run. `send` may be called from any thread and any signal handler.

    The training loop calls `receive` between steps: most calls only test a flag and poll."""

    def __init__(self) -> None:
        self._commands: deque[Command] = deque()
        self._arrived = threading.Event()
        self._poll: Callable[[], Iterable[Command]] = lambda: ()

    def send(self, command: Command) -> None:
        self._commands.append(command)
        self._arrived.set()

    def set_source(self, poll: Callable[[], Iterable[Command]]) -> None:
        """Also receive what `poll` returns."""
        self._poll = poll

    def receive(self) -> list[Command]:
        """Every command that has arrived, oldest first."""
        commands = list(self._poll())
        if self._arrived.is_set():
            self._arrived.clear()
            while self._commands:
                commands.append(self._commands.popleft())
        return commands

    def wait(self, seconds: float) -> None:
        """Wait for a command from this process, at most this long."""
        self._arrived.wait(seconds)


@dataclass(frozen=True, slots=True)
class ParentRun:
    """The start of a forked run: another run's `last`, `best` or a checkpoint file."""

    folder: RunFolder
    checkpoint: str


@dataclass(eq=False, repr=False)
class Training:
    """One run of this process, from the request until its end."""

    config: RunConfig
    # None until the dataset is loaded and the run folder created
    folder: RunFolder | None = None
    parent: ParentRun | None = None
    # set for a learning-rate search
    rate_range: RateRange | None = None
    # set for a trial of a sweep: the folder of its trials. A trial does not read the test split
    # and keeps only its best checkpoint
    trials_dir: Path | None = None
    # set in the other processes of a run: the first one says what is trained, and writes the record
    is_led: bool = False
    # None until it is loaded; for screens that show its images
    dataset: Dataset | None = field(default=None, init=False)
    # drained by the reader; the event log on disk is written separately
    events: deque[Event] = field(default_factory=deque, init=False)
    load_steps: deque[LoadStep] = field(default_factory=deque, init=False)
    inbox: Inbox = field(default_factory=Inbox, init=False)
    cancel_loading: threading.Event = field(default_factory=threading.Event, init=False)
    # what prevented the run or broke it; its traceback is for --debug
    error: BaseException | None = field(default=None, init=False)
    _done: threading.Event = field(default_factory=threading.Event, init=False)
    _emit: Callable[[Event], None] | None = field(default=None, init=False)
    clock: RunClock = field(default_factory=RunClock, init=False)

    def set_record(
        self, folder: RunFolder, emit: Callable[[Event], None], clock: RunClock | None = None
    ) -> None:
        """Called by the session's thread once events can be written; the clock of a resumed run
        counts on from its earlier sessions."""
        self.folder, self.clock = folder, clock or RunClock()
        self._emit = emit

    def record_end(self, why: str, step: int, epoch: int, reason: str = STOPPED) -> None:
        """Write the end of the run now, for a process that is about to exit at once."""
        if self._emit is not None and not self.is_done:
            self._emit(self.clock.run_ended(reason, why, step, epoch))

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

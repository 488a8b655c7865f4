"""A run as screens see it: its state, updated from its events, and a way to control it.

Events of a run of this process come through a deque, those of any other from the end of its
`events.jsonl`. One `RunFeed` at a time is the followed run.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import Command, Stop
from fmnist_tui.protocol.events import FAILED, LRFIND, TRAIN, run_title
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.runs.lock import LockHolder, find_holder
from fmnist_tui.runs.log import send_command
from fmnist_tui.tui.state.background_run import BackgroundRun
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

# Lines of events.jsonl that `drain` reads at most, on the screen's thread; `open` reads
# everything before them, in another thread.
_MAX_LINES = 2_000
_CHECK_SECONDS = 0.5


class RunFeed:
    """A run being followed. `open` may be called in any thread, the rest in the screen's."""

    def __init__(self, state: RunState | None = None) -> None:
        self.state = state or RunState()
        self.training: Training | None = None
        # The processes of its own that this dashboard has started for it.
        self.background: BackgroundRun | None = None
        self.config: RunConfig | None = None
        self.load_steps: deque[LoadStep] = deque(maxlen=200)
        self.record_error = ""
        self.heading = ""
        self._folder: RunFolder | None = None
        self._tail: EventReader | None = None
        # The other process that trains the run.
        self.holder: LockHolder | None = None
        self._checked_at = 0.0
        self._ended = False
        self._is_stopping = False
        # The sessions of a resumed run that ended before this feed was made.
        self._earlier_sessions = 0

    @classmethod
    def of(cls, training: Training, state: RunState | None = None, heading: str = "") -> RunFeed:
        """A run that this process trains.

        `state` is that of a resumed run, after all events before this training; it is modified.
        `heading` is its position in a plan of several runs: `stage 1 of 2: pretrain`."""
        feed = cls(state)
        feed.heading = heading
        feed.state.expect_session()
        feed._earlier_sessions = feed.state.sessions
        feed.training, feed.config, feed._folder = training, training.config, training.folder
        return feed

    @classmethod
    def starting(cls, background: BackgroundRun, config: RunConfig, heading: str = "") -> RunFeed:
        """A run whose processes are being started: it has no folder yet."""
        feed = cls()
        feed.background, feed.config, feed.heading = background, config, heading
        return feed

    @classmethod
    def open(cls, folder: RunFolder) -> RunFeed:
        """A run on disk, its events read to the end. Slow for a long run: call it in a thread."""
        feed = cls()
        feed._folder = folder
        feed._tail = EventReader(folder.events)
        feed._tail.replay_into(feed.state)
        try:
            feed.config = recipes.read_recipe(folder.config).config()
        except UserError as error:
            feed.record_error = str(error)
        feed._check_folder(force=True)
        return feed

    @property
    def folder(self) -> RunFolder | None:
        return self.training.folder if self.training is not None else self._folder

    @property
    def name(self) -> str:
        """The run's short name, safe to show."""
        about = self.state.started or self.config
        title = run_title(self.kind, about.recipe) if about is not None else ""
        return safe_text(f"{title} {self.folder.id if self.folder else ''}".strip(), 40)

    @property
    def kind(self) -> str:
        """The kind of run: TRAIN or another one defined in `events`."""
        if self.state.started is not None:
            return self.state.started.kind
        searches = self.training is not None and self.training.rate_range is not None
        return LRFIND if searches else TRAIN

    @property
    def is_own(self) -> bool:
        """Whether this process trains the run."""
        return self.training is not None

    @property
    def is_live(self) -> bool:
        """Whether a process trains the run now, or is being started."""
        if self.training is not None:
            return not self.training.is_done
        return self.holder is not None or self._is_starting

    @property
    def _is_starting(self) -> bool:
        return self._folder is None and self.background is not None and self.background.is_waiting

    @property
    def has_started(self) -> bool:
        """Whether the run has begun to train, a resumed one again."""
        return self.state.sessions > self._earlier_sessions

    @property
    def error(self) -> str:
        """Why the run did not start, or why its files cannot be read or are incomplete."""
        if self.training is not None and self.training.is_done:
            error = self.training.error
            # Why a run has failed is in its record.
            if error is not None and not (self.has_started and self.state.end_reason == FAILED):
                return str(error) if isinstance(error, UserError) else format_error(error)
        if self.background is not None and self._folder is None:
            return self.background.error
        return self.record_error

    @property
    def status(self) -> str:
        """What the run is doing, or how it ended, in one word."""
        state = self.state
        if self.is_live:
            if not self.has_started:
                return "stopping" if self._is_stopping else "preparing"
            if self._is_stopping and not state.phase.startswith("evaluating"):
                return "stopping"
            return "paused" if state.paused else (state.phase or "starting")
        if self.error and not self.has_started:
            return "not started"
        return state.end_reason or ("crashed" if state.started is not None else "empty")

    def send(self, command: Command) -> None:
        """Send a command to the run, in this process or another."""
        if self.background is not None and self._folder is None:
            if not isinstance(command, Stop):
                raise UserError("its processes are starting: that works once it trains")
            self.background.stop()
        self._is_stopping = self._is_stopping or isinstance(command, Stop)
        if self.training is not None:
            self.training.send(command)
        elif self._folder is not None:
            send_command(self._folder, command)

    def drain(self) -> bool:
        """Apply new events; whether anything has changed."""
        return self._drain_own(self.training) if self.training is not None else self._drain_file()

    def _drain_own(self, training: Training) -> bool:
        ended = training.is_done
        changed = ended != self._ended
        self._ended = ended
        while training.load_steps:
            self.load_steps.append(training.load_steps.popleft())
            changed = True
        while training.events:
            self.state.apply(training.events.popleft())
            changed = True
        return changed

    def _drain_file(self) -> bool:
        if self._tail is None:
            ended = not self.is_live
            changed, self._ended = ended != self._ended, ended
            return changed
        changed = self._check_folder()
        try:
            events = self._tail.read(_MAX_LINES)
        except UserError as error:
            changed = changed or self.record_error != str(error)
            self.record_error = str(error)
            return changed
        for event in events:
            self.state.apply(event)
        self.state.unreadable_lines = self._tail.invalid_lines
        return changed or bool(events)

    def _check_folder(self, force: bool = False) -> bool:
        """Check now and then which process holds the lock, and that the folder still exists."""
        now = time.monotonic()
        if self._folder is None or (now - self._checked_at < _CHECK_SECONDS and not force):
            return False
        self._checked_at = now
        before, path = (self.holder, self.record_error), self._folder.path
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where access is denied
            with contextlib.suppress(OSError):
                self.holder = find_holder(path)
        else:
            self.holder = None
            self.record_error = f"the folder of this run no longer exists: {safe_text(path)}"
        self._is_stopping = self._is_stopping and self.holder is not None
        return before != (self.holder, self.record_error)

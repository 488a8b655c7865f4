"""A run as screens see it: its state, updated from its events, and a way to control it.

Events of a run of this process come through a deque, those of any other from the end of its
`events.jsonl`. One `RunFeed` at a time is the followed run.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from pathlib import Path

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.events import LRFIND, TRAIN, run_title
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.runs.lock import LockHolder, find_holder
from fmnist_tui.runs.log import send_command
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

# Lines of events.jsonl that `drain` reads at most, on the screen's thread; `open` reads
# everything before them, in another thread.
_MAX_LINES = 2_000
_CHECK_SECONDS = 0.5
_BATCH = 10_000


class RunFeed:
    """A run being followed. `open` may be called in any thread, the rest in the screen's."""

    def __init__(self, state: RunState | None = None) -> None:
        self.state = state or RunState()
        self.training: Training | None = None
        self.config: RunConfig | None = None
        self.load_steps: deque[LoadStep] = deque(maxlen=200)
        self.record_error = ""
        # Its position in a plan of several runs: `stage 1 of 2: pretrain`.
        self.heading = ""
        self._folder: RunFolder | None = None
        self._tail: EventReader | None = None
        self._holder: LockHolder | None = None
        self._checked_at = 0.0
        self._ended = False

    @classmethod
    def of(cls, training: Training) -> RunFeed:
        """A run that this process trains."""
        feed = cls()
        feed.training, feed.config, feed._folder = training, training.config, training.folder
        return feed

    @classmethod
    def open(cls, folder: RunFolder) -> RunFeed:
        """A run on disk, its events read to the end. Slow for a long run: call it in a thread."""
        feed = cls()
        feed._folder = folder
        feed._tail = EventReader(folder.events)
        while events := feed._tail.read(_BATCH):
            for event in events:
                feed.state.apply(event)
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
        folder = self.folder
        if folder is not None:
            return safe_text(f"{self._recipe} {folder.id}".strip(), 40)
        return safe_text(self._recipe, 40)

    @property
    def kind(self) -> str:
        """The kind of run: TRAIN or another one defined in `events`."""
        if self.state.started is not None:
            return self.state.started.kind
        searches = self.training is not None and self.training.rate_range is not None
        return LRFIND if searches else TRAIN

    @property
    def _recipe(self) -> str:
        if self.state.started is not None:
            return run_title(self.kind, self.state.started.recipe)
        return run_title(self.kind, self.config.recipe) if self.config is not None else ""

    @property
    def own(self) -> bool:
        """Whether this process trains the run."""
        return self.training is not None

    @property
    def live(self) -> bool:
        """Whether a process trains the run now."""
        if self.training is not None:
            return not self.training.is_done
        return self._holder is not None

    @property
    def holder(self) -> LockHolder | None:
        """The other process that trains the run."""
        return None if self.own else self._holder

    @property
    def error(self) -> str:
        """Why the run did not start, or why its files cannot be read."""
        if self.training is not None and self.training.is_done and self.state.started is None:
            error = self.training.error
            if error is not None:
                return str(error) if isinstance(error, UserError) else reason(error)
        return self.record_error

    @property
    def status(self) -> str:
        """What the run is doing, or how it ended, in one word."""
        state = self.state
        if self.live:
            if state.started is None:
                return "preparing"
            return "paused" if state.paused else (state.phase or "starting")
        if self.error and state.started is None:
            return "not started"
        if state.end_reason:
            return state.end_reason
        return "crashed" if state.started is not None else "empty"

    def send(self, command: Command) -> None:
        """Send a command to the run, in this process or another."""
        if self.training is not None:
            self.training.send(command)
        elif self._folder is not None:
            send_command(self._folder, command)

    def drain(self) -> bool:
        """Apply new events; whether anything has changed."""
        if self.training is not None:
            return self._drain_own(self.training)
        return self._drain_file()

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
            return False
        changed = self._check_folder()
        try:
            events = self._tail.read(_MAX_LINES)
        except UserError as error:
            changed = changed or self.record_error != str(error)
            self.record_error = str(error)
            return changed
        for event in events:
            self.state.apply(event)
        return changed or bool(events)

    def _check_folder(self, force: bool = False) -> bool:
        """Check now and then which process holds the lock, and that the folder still exists."""
        now = time.monotonic()
        if self._folder is None or (now - self._checked_at < _CHECK_SECONDS and not force):
            return False
        self._checked_at = now
        before = (self._holder, self.record_error)
        if not _is_folder(self._folder.path):
            self._holder = None
            self.record_error = (
                f"the folder of this run no longer exists: {safe_text(self._folder.path)}"
            )
        else:
            with contextlib.suppress(OSError):
                self._holder = find_holder(self._folder.path)
        return before != (self._holder, self.record_error)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False

"""Tells in single lines what a run does, from the events that its process writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from fmnist_tui.cli.support.training_view import PlainView
from fmnist_tui.protocol.events import EpochEnded, RunEnded
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import FindRun, has_process, run_finder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.runs.lock import find_holder
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

Say = Callable[[str], None]
POLL_SECONDS = 0.2
# How long a process may take to begin the next run of its plan.
NEXT_SECONDS = 5.0
# Of epochs that are shorter not every one is told.
EPOCH_SECONDS = 5.0


class RunFollower:
    """Follows one run in a thread, and the runs that its process makes after it."""

    def __init__(self, say: Say, seconds: float) -> None:
        self._say, self._seconds = say, seconds
        self._thread: threading.Thread | None = None
        self._is_closing = threading.Event()
        self.folder: RunFolder | None = None
        self.state = RunState()

    @property
    def is_live(self) -> bool:
        """Whether a process works at the run, or at the next one of its plan."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def name(self) -> str:
        """`two-conv 7f3a`."""
        recipe = self.state.started.recipe if self.state.started is not None else ""
        return safe_text(f"{recipe} {self.folder.id if self.folder else ''}".strip(), 60)

    def follow(self, folder: RunFolder) -> None:
        """Follow another run; what it has done so far is not told."""
        self.close()
        self._is_closing = threading.Event()
        self.folder, self.state = folder, RunState()
        reader = EventReader(folder.events)
        reader.replay_into(self.state)
        holder = find_holder(folder.path)
        if holder is not None:
            next_run = run_finder(folder.path.parent, None)
            words = (reader, holder.pid, next_run, self._is_closing)
            self._thread = threading.Thread(target=self._run, args=words, daemon=True)
            self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; whether it has come in time."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.is_live

    def close(self) -> None:
        """Follow nothing any more; the run goes on."""
        self._is_closing.set()
        self.wait()
        self._thread = None

    def _run(
        self, reader: EventReader, process: int, next_run: FindRun, is_closing: threading.Event
    ) -> None:
        try:
            while self._follow_to_end(reader, is_closing):
                folder, until = next_run(process), time.monotonic() + NEXT_SECONDS
                while folder is None and time.monotonic() < until and has_process(process):
                    if is_closing.wait(POLL_SECONDS):
                        return
                    folder = next_run(process)
                if folder is None:
                    return
                next_run = run_finder(folder.path.parent, None)
                reader = EventReader(folder.events)
                self.folder, self.state = folder, RunState()
        except (UserError, OSError) as error:
            self._say(str(error) if isinstance(error, UserError) else format_error(error))

    def _follow_to_end(self, reader: EventReader, is_closing: threading.Event) -> bool:
        """Tell what the run does; whether it has come to its end."""
        view, path = PlainView(self._say, self._seconds), reader.path.parent
        epoch_told_at = -EPOCH_SECONDS
        while True:
            # Looked at first: what was written before the process ended is read below.
            is_live = find_holder(path) is not None
            for event in reader.read_all():
                self.state.apply(event)
                if isinstance(event, EpochEnded):
                    total = self.state.started.epochs if self.state.started is not None else 0
                    if time.monotonic() - epoch_told_at < EPOCH_SECONDS and event.epoch != total:
                        continue
                    epoch_told_at = time.monotonic()
                view.on_event(event, self.state)
                if isinstance(event, RunEnded):
                    self._say(f"{self.name} {event.outcome}")
                    return True
            if not is_live:
                self._say(f"{self.name}: its process has ended without a word")
                return True
            if is_closing.wait(POLL_SECONDS):
                return False

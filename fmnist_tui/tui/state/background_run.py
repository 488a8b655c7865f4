"""A training in processes of its own that this dashboard has started: it outlives the dashboard.

A thread starts the processes and finds their runs, one after another.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from fmnist_tui.protocol.events import FINISHED, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import POLL_SECONDS, DetachedTraining
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.util.errors import UserError, format_unexpected_error

# How often a run is looked at until it has ended.
END_SECONDS = 0.5


class BackgroundRun:
    """`headings` says of each of its runs what it is, `on_line` gets what it prints before a run
    begins. `files` are deleted once the first run has begun."""

    def __init__(
        self,
        start: Callable[[], DetachedTraining],
        headings: tuple[str, ...] = ("",),
        *,
        on_line: Callable[[str], None] = lambda _: None,
        files: tuple[Path, ...] = (),
    ) -> None:
        self._start, self._headings, self._on_line, self._files = start, headings, on_line, files
        # Runs that have begun and that nobody follows yet, with their headings.
        self.begun: deque[tuple[RunFolder, str]] = deque()
        self.error = ""
        self.process = 0
        self._training: DetachedTraining | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._work, name="background run", daemon=True)
        self._thread.start()

    @property
    def is_waiting(self) -> bool:
        """Whether another run may begin."""
        return bool(self.begun) or self._thread.is_alive()

    @property
    def first(self) -> RunFolder | None:
        """The first run that has begun and that nobody follows."""
        return self.begun[0][0] if self.begun else None

    def wait(self, seconds: float) -> None:
        """Wait until a run has begun, or none will."""
        deadline = time.monotonic() + seconds
        while not self.begun and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the processes before a run has begun; once one trains, a command stops it."""
        self._is_stopping = True
        if self._training is not None:
            self._training.stop()

    def _work(self) -> None:
        try:
            self._training = self._start()
            self.process = self._training.process
            if self._is_stopping:
                self._training.stop()
            with contextlib.closing(self._training):
                for number, heading in enumerate(self._headings, 1):
                    # Later the processes print what they have trained before.
                    on_line = self._on_line if number == 1 else lambda _: None
                    folder = self._training.await_run(lambda: False, on_line)
                    assert folder is not None
                    self._delete_files()
                    self.begun.append((folder, heading))
                    if number < len(self._headings) and not self._has_finished(folder):
                        break
        except UserError as error:
            self.error = "stopped before it began" if self._is_stopping else str(error)
        except Exception as error:  # noqa: BLE001 - shown as the run's error
            self.error = format_unexpected_error(error)
        finally:
            self._delete_files()

    def _has_finished(self, folder: RunFolder) -> bool:
        """Wait for the run's end; whether the next one follows."""
        reader = EventReader(folder.events)
        while True:
            is_alive = self._training is not None and self._training.is_alive
            for event in reader.read_all():
                if isinstance(event, RunEnded):
                    return event.reason == FINISHED
            if not is_alive:
                return False
            time.sleep(END_SECONDS)

    def _delete_files(self) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)

"""A time limit for closing the screen: the run is saved or handed over whatever the screen does."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A screen closes in a tenth of a second; on a busy machine, and with work to finish, in some more.
LIMIT_SECONDS = 15.0


class Leaving:
    """Watches that the app closes in time once it was asked to."""

    def __init__(self) -> None:
        self.has_begun = False
        # Its `put` may interrupt itself, as in a signal handler. The value is the seconds that
        # are left; None if the app has closed.
        self._news: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def begin(self) -> None:
        """The app is asked to close."""
        if not self.has_begun:
            self.has_begun = True
            self._news.put(LIMIT_SECONDS)

    def hurry(self) -> None:
        """Wait for the app no longer."""
        self._news.put(0.0)

    @contextmanager
    def limited(self, force: Callable[[], object]) -> Iterator[None]:
        """The app runs in this context. If it does not close in time, `force` is called in
        another thread and has to end the process."""
        watcher = threading.Thread(
            target=self._watch, args=(force,), name="time limit of leaving", daemon=True
        )
        watcher.start()
        try:
            yield
        finally:
            self._news.put(None)
            watcher.join()

    def _watch(self, force: Callable[[], object]) -> None:
        seconds = self._news.get()
        end = time.monotonic() + (seconds or 0)
        while seconds is not None:
            end = min(end, time.monotonic() + seconds)
            try:
                seconds = self._news.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                force()
                return

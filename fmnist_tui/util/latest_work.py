"""Work in a thread, one piece at a time; newer work replaces work that waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class LatestWork:
    """Has a thread while there is work. The future of work that is replaced is cancelled.

    The thread is a daemon: work that waits for a dead server does not keep the process alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: tuple[Callable[[], Any], Future[Any]] | None = None
        self._has_thread = False

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Do `work` now, or after the piece that is being done."""
        future: Future[Result] = Future()
        with self._lock:
            replaced, self._waiting = self._waiting, (work, future)
            starts, self._has_thread = not self._has_thread, True
        if replaced is not None:
            replaced[1].cancel()
        if starts:
            threading.Thread(target=self._do_all, name="latest work", daemon=True).start()
        return future

    def _do_all(self) -> None:
        while True:
            with self._lock:
                if self._waiting is None:
                    self._has_thread = False
                    return
                (work, future), self._waiting = self._waiting, None
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001 - raised by future.result
                    future.set_exception(error)

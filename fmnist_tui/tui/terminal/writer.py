"""The thread that writes to the terminal or the browser: what draws never waits long for it.

A terminal whose reader has stopped (a suspended client, a laptop that sleeps) takes no more
output. What is drawn meanwhile is dropped, and all is drawn again when the terminal reads on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

QUEUED_WRITES = 30
# So long a full queue holds up what draws; a terminal that is merely slow has room again by then.
STALL_SECONDS = 1.0
# So long the last output may take.
FLUSH_SECONDS = 2.0


class TerminalWriter(threading.Thread):
    """Takes the place of Textual's writer thread, which is waited for without a limit.

    `on_resumed` is called in this thread after output was dropped and the queue is empty again."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(name="terminal output", daemon=True)
        self.on_resumed: Callable[[], object] = lambda: None
        self._file = file.buffer
        self._queue: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._is_stalled = self._is_stopping = False

    def write(self, text: str) -> None:
        """Queue text; it is dropped while the terminal takes nothing."""
        self.write_bytes(text.encode("utf-8", "replace"))

    def write_bytes(self, data: bytes) -> None:
        """Queue bytes, which are dropped as a whole or not at all."""
        with self._changed:
            if not self._is_stalled:
                self._is_stalled = not self._changed.wait_for(self._has_room, STALL_SECONDS)
            if not (self._is_stalled or self._is_stopping):
                self._queue.append(data)
                self._changed.notify_all()

    def flush(self) -> None:
        """Nothing is held back."""

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._is_stopping)
                if not self._queue:
                    return
                data = self._queue[0]
            self._file.write(data)
            with self._changed:
                self._queue.popleft()
                is_over = self._is_stalled and not self._queue
                if is_over:
                    self._is_stalled = False
                self._changed.notify_all()
            if is_over:
                self.on_resumed()

    def stop(self) -> bool:
        """End the thread once all is written; False if that takes too long."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self.join(FLUSH_SECONDS)
        return not self.is_alive()

    def _has_room(self) -> bool:
        return self._is_stopping or len(self._queue) < QUEUED_WRITES

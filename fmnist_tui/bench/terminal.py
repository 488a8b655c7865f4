"""The program in a pty: sends keys, records output and its times."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping
from typing import Self

from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import program_command

TIMEOUT = 60.0
# Environment variables that would change what the program draws
_DROPPED = ("COLUMNS", "LINES", "NO_COLOR")
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class WatchedTerminal:
    """A `fmnist-tui` process in a pty, with its output as text without control sequences."""

    def __init__(
        self, words: list[str], environment: Mapping[str, str], size: tuple[int, int] = (120, 36)
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in _DROPPED}
        primary, secondary = pty.openpty()
        columns, rows = size
        fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.started_at = time.perf_counter()
        self.process = subprocess.Popen(
            [*program_command(), *words],
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
            start_new_session=True,
        )
        os.close(secondary)
        self._descriptor = primary
        self._changed = threading.Condition()
        self._text = ""
        self._incomplete = ""
        self._bytes = 0
        # (length of the text, time) after each block of output
        self._times: list[tuple[int, float]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(2)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    @property
    def bytes(self) -> int:
        """How many bytes the program has written."""
        with self._changed:
            return self._bytes

    @property
    def position(self) -> int:
        """The end of the text so far."""
        with self._changed:
            return len(self._text)

    def text_since(self, position: int) -> str:
        """The text written after a position."""
        with self._changed:
            return self._text[position:]

    def press(self, key: str) -> float:
        """Send a key; returns the time."""
        now = time.perf_counter()
        os.write(self._descriptor, key.encode())
        return now

    def press_and_wait(self, key: str, pattern: str) -> float:
        """Send a key and wait for its answer; returns the milliseconds between them."""
        start = self.position
        pressed = self.press(key)
        return (self.wait_for(pattern, start) - pressed) * 1000

    def wait_for(self, pattern: str, start: int = 0, seconds: float = TIMEOUT) -> float:
        """Wait until the text after `start` matches; returns when that output came."""
        regex = re.compile(pattern)
        end = time.perf_counter() + seconds
        with self._changed:
            while True:
                match = regex.search(self._text, start)
                if match:
                    return next(t for length, t in self._times if length >= match.end())
                remaining = end - time.perf_counter()
                if remaining <= 0 or self.process.poll() is not None:
                    tail = self._text[start:][-300:]
                    raise UserError(
                        f"the dashboard did not show {pattern!r}; its last output was {tail!r}"
                    )
                self._changed.wait(min(remaining, 0.5))

    def _read(self) -> None:
        while True:
            try:
                block = os.read(self._descriptor, 1 << 16)
            except OSError:
                return
            if not block:
                return
            now = time.perf_counter()
            with self._changed:
                self._bytes += len(block)
                text = self._incomplete + block.decode("utf-8", "replace")
                # A control sequence may continue in the next block.
                escape = text.rfind("\x1b", max(0, len(text) - 64))
                is_complete = escape < 0 or _CONTROL.match(text, escape)
                end = len(text) if is_complete else escape
                self._incomplete = text[end:]
                self._text += _CONTROL.sub("", text[:end])
                self._times.append((len(self._text), now))
                self._changed.notify_all()

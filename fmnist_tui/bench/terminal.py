"""The program in a terminal of the benchmark's own: keys in, bytes and their times out."""

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

LIMIT = 60.0
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class WatchedTerminal:
    """A `fmnist-tui` process in a pty. `text` is all it has drawn, without control sequences."""

    def __init__(
        self, words: list[str], environment: Mapping[str, str], size: tuple[int, int] = (120, 36)
    ) -> None:
        ours, theirs = pty.openpty()
        columns, rows = size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [*program_command(), *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={
                **{key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON},
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                **environment,
            },
            start_new_session=True,
        )
        os.close(theirs)
        self._descriptor = ours
        self._drawn = threading.Condition()
        self._text = ""
        self._rest = ""
        self._bytes = 0
        # (length of the text, time) after each block that came
        self._times: list[tuple[int, float]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(2)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    @property
    def bytes(self) -> int:
        """How many bytes have reached the terminal."""
        with self._drawn:
            return self._bytes

    @property
    def place(self) -> int:
        """Where the text drawn from now on begins."""
        with self._drawn:
            return len(self._text)

    def since(self, place: int) -> str:
        """The text drawn from a place on."""
        with self._drawn:
            return self._text[place:]

    def press(self, key: str) -> float:
        """Send a key; when."""
        now = time.perf_counter()
        os.write(self._descriptor, key.encode())
        return now

    def until(self, pattern: str, since: int = 0, seconds: float = LIMIT) -> float:
        """When the text from `since` on first matched; waits for it."""
        wanted = re.compile(pattern)
        end = time.perf_counter() + seconds
        with self._drawn:
            while True:
                found = wanted.search(self._text, since)
                if found:
                    return next(t for length, t in self._times if length >= found.end())
                left = end - time.perf_counter()
                if left <= 0 or self.process.poll() is not None:
                    tail = self._text[since:][-300:]
                    raise UserError(
                        f"the dashboard never showed {pattern!r}; it ended with {tail!r}"
                    )
                self._drawn.wait(min(left, 0.5))

    def _read(self) -> None:
        while True:
            try:
                block = os.read(self._descriptor, 1 << 16)
            except OSError:
                return
            if not block:
                return
            now = time.perf_counter()
            with self._drawn:
                self._bytes += len(block)
                whole = self._rest + block.decode("utf-8", "replace")
                # A control sequence may go on in the next block.
                start = whole.rfind("\x1b", max(0, len(whole) - 64))
                cut = start if start >= 0 and not _CONTROL.match(whole, start) else len(whole)
                self._rest = whole[cut:]
                self._text += _CONTROL.sub("", whole[:cut])
                self._times.append((len(self._text), now))
                self._drawn.notify_all()


_NOT_PASSED_ON = ("COLUMNS", "LINES", "NO_COLOR")

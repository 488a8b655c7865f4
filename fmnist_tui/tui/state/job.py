"""One of our own commands, run in a process of its own for the dashboard.

The process writes to files, not to us: it may outlive the dashboard. How far it is it
says in JSON lines on its standard error, what came of it as one JSON document.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, BinaryIO

from fmnist_tui.util.errors import ERROR_PREFIX, UserError, reason
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
LINES = 500
# So long may one that was told to stop take before it is ended.
STOP_SECONDS = 20.0
# How every error begins that a command prints (`cli.output.error`).
_BLOCK = 1 << 16


class BackgroundJob:
    """A command under way. `poll`, called now and then by the screen's thread, never waits."""

    def __init__(self, title: str, words: Sequence[str]) -> None:
        self.title, self.words = title, tuple(words)
        self.status = RUNNING
        self.done, self.total, self.what = 0.0, 0.0, "starting"
        self.began = time.monotonic()
        self.seconds = 0.0
        self.lines: deque[str] = deque(maxlen=LINES)
        # what it printed, once it is done
        self.document: Any = None
        self._since = (0.0, self.began)
        self._partial = b""
        self._read = 0
        self._asked = False
        self._process: subprocess.Popen[bytes] | None = None
        self._out: BinaryIO | None = None
        self._err: BinaryIO | None = None

    def start(self) -> None:
        """Start the process; a UserError where that cannot be."""
        try:
            # Open as long as the process is listened to.
            self._out = tempfile.TemporaryFile()  # noqa: SIM115
            self._err = tempfile.TemporaryFile()  # noqa: SIM115
            self._process = subprocess.Popen(
                [*program_command(), *self.words, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
                start_new_session=True,
                env={**os.environ, "FMNIST_TUI_STEPS": "json", "PYTHONIOENCODING": "utf-8"},
            )
        except (OSError, ValueError) as error:
            self.status = FAILED
            self._close()
            raise UserError(f"{self.title}: cannot start a process: {reason(error)}") from error
        if self._asked:
            # Somebody was quicker than its beginning.
            self._asked = False
            self.cancel()

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None where nobody knows."""
        return min(1.0, self.done / self.total) if self.total > 0 else None

    @property
    def left(self) -> float | None:
        """Seconds that are left if it goes on as it has since the present stage began."""
        done, began = self._since
        gained, passed = self.done - done, time.monotonic() - began
        if self.status != RUNNING or gained <= 0 or self.total <= 0 or passed < 0.5:
            return None
        return passed / gained * max(0.0, self.total - self.done)

    @property
    def error(self) -> str:
        """Why it failed, as the command said it."""
        told = [
            line.removeprefix(ERROR_PREFIX) for line in self.lines if line.startswith(ERROR_PREFIX)
        ]
        return "; ".join(told) or (self.lines[-1] if self.lines else "it ended without a word")

    def poll(self) -> bool:
        """Take in what the process has said since; whether there is anything new."""
        if self._process is None or self.status != RUNNING:
            return False
        code = self._process.poll()
        moved = self._listen()
        self.seconds = time.monotonic() - self.began
        if code is None:
            return moved
        self._end(code)
        return True

    def cancel(self) -> None:
        """Ask it to give up in good order; asked again, it is ended at once.

        By SIGTERM: Ctrl-C's signal is ignored by whatever was begun in the background."""
        if self.status != RUNNING:
            return
        number = signal.SIGKILL if self._asked else signal.SIGTERM
        self._asked = True
        self.what = "stopping"
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for the end; False if it has not come by then."""
        if self._process is not None and self.status == RUNNING:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            self.poll()
        return True

    def _listen(self) -> bool:
        if self._err is None:
            return False
        moved = False
        while block := os.pread(self._err.fileno(), _BLOCK, self._read):
            self._read += len(block)
            *whole, self._partial = (self._partial + block).split(b"\n")
            for line in whole:
                self._hear(line.decode("utf-8", "replace"))
            moved = True
        return moved

    def _hear(self, line: str) -> None:
        if line.startswith("{"):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                told = json.loads(line)
                done, total = float(told["done"]), float(told["total"])
                if total != self.total or done < self.done:
                    self._since = (done, time.monotonic())
                self.done, self.total = done, total
                if not self._asked:
                    self.what = safe_text(told["what"], 100)
                return
        if line.strip():
            self.lines.append(safe_text(line, 400))

    def _end(self, code: int) -> None:
        self._listen()
        if code == 0 and self._out is not None:
            self._out.seek(0)
            try:
                self.document = json.loads(self._out.read() or b"null")
                self.status, self.what = DONE, "done"
            except ValueError:
                self.status, self.what = FAILED, "failed"
                self.lines.append("what it printed is no JSON")
        elif self._asked:
            self.status, self.what = CANCELLED, "cancelled"
        else:
            self.status, self.what = FAILED, "failed"
        self._close()

    def _close(self) -> None:
        for file in (self._out, self._err):
            if file is not None:
                file.close()


def end_all(errands: Sequence[BackgroundJob]) -> None:
    """Stop these, and wait until they have."""
    for one in errands:
        one.cancel()
    for one in errands:
        if not one.wait(STOP_SECONDS):
            one.cancel()
            one.wait(STOP_SECONDS)

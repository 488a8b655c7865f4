"""One of the program's commands, run for the dashboard in another process.

The process may outlive the dashboard, so it writes to files: progress as JSON lines on its
standard error, the result as one JSON document on its standard output.
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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

from fmnist_tui.util.errors import ERROR_PREFIX, UserError, format_error
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.progress import FORMAT_VARIABLE
from fmnist_tui.util.text import safe_text

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
LINES = 500
# How long a job may take to stop before it is killed.
STOP_SECONDS = 20.0
_BLOCK = 1 << 16
_ENVIRONMENT = {FORMAT_VARIABLE: "json", "PYTHONIOENCODING": "utf-8"}
NO_CHANGES: Mapping[str, str] = {}


class BackgroundJob:
    """A running command. `poll`, called regularly by the screen's thread, never waits."""

    def __init__(
        self,
        title: str,
        words: Sequence[str],
        environment: Mapping[str, str] = NO_CHANGES,
        *,
        on_line: Callable[[str], None] = lambda _: None,
        ends_with_us: bool = False,
    ) -> None:
        """`environment` is added to that of this process. `on_line` gets each line of text that
        the command prints on its standard error. A command that `ends_with_us` reads its standard
        input, which ends when this process does."""
        self.title, self.words = safe_text(title), tuple(words)
        self._environment, self._on_line, self._ends_with_us = environment, on_line, ends_with_us
        self.status = RUNNING
        self.done, self.total, self.what = 0.0, 0.0, "starting"
        self.seconds = 0.0
        self.lines: deque[str] = deque(maxlen=LINES)
        # Once it has ended: its exit status, and the JSON document that it printed.
        self.code: int | None = None
        self.document: Any = None
        self._started = time.monotonic()
        # How much was done when the current stage started, and when that was.
        self._stage = (0.0, self._started)
        self._partial_line = b""
        self._read = 0
        self._is_cancelled = False
        self._process: subprocess.Popen[bytes] | None = None
        self._out: BinaryIO | None = None
        self._err: BinaryIO | None = None

    def start(self) -> None:
        """Start the process; raises UserError if that is not possible."""
        try:
            # Closed when the process has ended.
            self._out = tempfile.TemporaryFile()  # noqa: SIM115
            self._err = tempfile.TemporaryFile()  # noqa: SIM115
            self._process = subprocess.Popen(
                [*program_command(), *self.words, "--json"],
                stdin=subprocess.PIPE if self._ends_with_us else subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
                start_new_session=True,
                env={**os.environ, **_ENVIRONMENT, **self._environment},
            )
        except (OSError, ValueError) as error:
            why = f"cannot start a process: {format_error(error)}"
            self.lines.append(why)
            self._end(FAILED)
            raise UserError(why) from error
        if self._is_cancelled:
            # It was cancelled before the process existed.
            self._is_cancelled = False
            self.cancel()

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None if unknown."""
        return min(1.0, self.done / self.total) if self.total > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At the speed of the current stage; None if unknown."""
        done, started = self._stage
        gained, elapsed = self.done - done, time.monotonic() - started
        if self.status != RUNNING or gained <= 0 or self.total <= 0 or elapsed < 0.5:
            return None
        return elapsed / gained * max(0.0, self.total - self.done)

    @property
    def error(self) -> str:
        """Why it failed: the error lines that the command printed, or its last line."""
        errors = [line for line in self.lines if line.startswith(ERROR_PREFIX)]
        if errors:
            return "; ".join(line.removeprefix(ERROR_PREFIX) for line in errors)
        return self.lines[-1] if self.lines else "it ended without an error message"

    def poll(self) -> bool:
        """Read what the process has written since the last call; whether anything is new."""
        if self._process is None or self._err is None or self.status != RUNNING:
            return False
        code, has_news = self._process.poll(), False
        while block := os.pread(self._err.fileno(), _BLOCK, self._read):
            self._read += len(block)
            *lines, self._partial_line = (self._partial_line + block).split(b"\n")
            for line in lines:
                self._parse_line(line.decode("utf-8", "replace"))
            has_news = True
        self.seconds = time.monotonic() - self._started
        if code is None:
            return has_news
        self.code, is_whole = code, self._load_document()
        if code == 0 and not is_whole:
            self.lines.append("its output is not a JSON document")
        failure = CANCELLED if self._is_cancelled else FAILED
        self._end(failure if code else DONE if is_whole else FAILED)
        return True

    def cancel(self) -> None:
        """Ask the process to stop; a second call kills it.

        SIGTERM, not SIGINT, which processes that are started in the background may ignore."""
        if self.status != RUNNING:
            return
        number = signal.SIGKILL if self._is_cancelled else signal.SIGTERM
        self._is_cancelled, self.what = True, "stopping"
        self.send(number)

    def send(self, number: int) -> None:
        """Send the process a signal, and those that it has started."""
        if self._process is not None and self.status == RUNNING:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for the end; False if it has not ended by then."""
        if self._process is not None and self.status == RUNNING:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            self.poll()
        return True

    def _parse_line(self, line: str) -> None:
        if line.startswith("{"):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                step = json.loads(line)
                done, total = float(step["done"]), float(step["total"])
                if total != self.total or done < self.done:
                    self._stage = (done, time.monotonic())
                self.done, self.total = done, total
                if not self._is_cancelled:
                    self.what = safe_text(step["what"], 100)
                return
        if line.strip():
            self.lines.append(safe_text(line, 400))
            self._on_line(self.lines[-1])

    def _load_document(self) -> bool:
        """Load what the process has printed; whether it is a JSON document."""
        if self._out is not None:
            self._out.seek(0)
            with contextlib.suppress(ValueError):
                self.document = json.loads(self._out.read() or b"null")
                return True
        return False

    def _end(self, status: str) -> None:
        self.status = self.what = status
        ends = self._process.stdin if self._process is not None else None
        for file in (self._out, self._err, ends):
            if file is not None:
                file.close()


def end_all(jobs: Sequence[BackgroundJob]) -> None:
    """Stop these jobs, and wait until they have ended."""
    for job in jobs:
        job.cancel()
    for job in jobs:
        if not job.wait(STOP_SECONDS):
            job.cancel()
            job.wait(STOP_SECONDS)

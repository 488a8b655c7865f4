"""What a run says and what it is told, as files: `events.jsonl` out, `commands.jsonl` in.

Both hold whole lines only, and neither is ever kept at the training's expense.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from fmnist_tui.protocol.commands import COMMANDS, Command
from fmnist_tui.protocol.events import EVENTS, Event, Glance, Progress, RunStarted, Telemetry
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import LineTail, end_of_whole_lines
from fmnist_tui.runs.lock import holder
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

BACKLOG_LIMIT = 32 << 20

# Never through a link: a torn last line is cut off, and that must be ours.
_FOR_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


class EventLog:
    """The record of a run, appended to by the one process that holds the run's lock.

    Each event is one write of one line, seen by every reader at once. Where the disk is
    full or gone the training goes on: what was written of a line is cut off again, what
    matters waits (up to `BACKLOG_LIMIT` bytes) until it can be written, Progress and
    Telemetry are left out, and `on_trouble` is told once an outage, from the thread that
    appended. It may append in its turn. A torn last line left by a killed process is cut
    off before the first event.
    """

    def __init__(self, path: Path, on_trouble: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.left_out = 0
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._end = 0
        self._is_torn = False
        self._waiting: deque[tuple[type[Event], bytes]] = deque()
        self._waiting_bytes = 0
        self._trouble = ""
        self._is_closed = False
        with self._lock:
            news = self._write_what_waits()
        self._tell(news)

    @property
    def trouble(self) -> str:
        """Why the record is not being kept at the moment; empty while it is."""
        return self._trouble

    def append(self, event: Event) -> None:
        """Write `event`, or keep it until that is possible; nothing after `close`."""
        line = EVENTS.encode(event).encode("ascii") + b"\n"
        with self._lock:
            if self._is_closed:
                return
            self._waiting.append((type(event), line))
            self._waiting_bytes += len(line)
            news = self._write_what_waits()
        self._tell(news)

    def close(self) -> None:
        """Write what still waits, if possible, and make the record outlast a power cut."""
        with self._lock:
            if self._is_closed:
                return
            news = self._write_what_waits()
            self._is_closed = True
            self.left_out += len(self._waiting)
            self._waiting.clear()
            if self._descriptor is not None:
                with contextlib.suppress(OSError):
                    os.fsync(self._descriptor)
                with contextlib.suppress(OSError):
                    os.close(self._descriptor)
                self._descriptor = None
        self._tell(news)

    def _tell(self, news: str) -> None:
        # Outside the lock: whoever is told may append an event about it.
        if news and self._on_trouble is not None:
            self._on_trouble(news)

    def _write_what_waits(self) -> str:
        """Write the waiting lines in order; gives the message of an outage that begins here."""
        try:
            descriptor = self._ready()
            while self._waiting:
                self._write_line(descriptor, self._waiting[0][1])
                _, line = self._waiting.popleft()
                self._waiting_bytes -= len(line)
        except OSError as error:
            self._shed()
            is_new = not self._trouble
            self._trouble = (
                f"the record {safe_text(self.path)} is not being kept: {reason(error)};"
                " the training goes on"
            )
            return self._trouble if is_new else ""
        self._trouble = ""
        return ""

    def _ready(self) -> int:
        """The open file, its last line whole."""
        if self._descriptor is None:
            descriptor = os.open(self.path, _FOR_APPENDING, 0o666)
            try:
                self._end = end_of_whole_lines(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            self._is_torn = True
            self._descriptor = descriptor
        if self._is_torn:
            os.ftruncate(self._descriptor, self._end)
            self._is_torn = False
        return self._descriptor

    def _write_line(self, descriptor: int, line: bytes) -> None:
        self._is_torn = True
        try:
            _write_whole(descriptor, line)
        except OSError:
            # Should this fail as well, `_ready` sees to it before anything else is written.
            with contextlib.suppress(OSError):
                self._ready()
            raise
        self._end += len(line)
        self._is_torn = False

    def _shed(self) -> None:
        """Keep what waits to what matters, and that to what memory can bear."""
        if self._waiting and self._waiting[-1][0] in (Progress, Telemetry, Glance):
            self._waiting_bytes -= len(self._waiting.pop()[1])
            self.left_out += 1
        while self._waiting_bytes > BACKLOG_LIMIT and len(self._waiting) > 1:
            # The oldest goes first, but for how the run began: without it the rest says little.
            oldest = 1 if self._waiting[0][0] is RunStarted else 0
            self._waiting_bytes -= len(self._waiting[oldest][1])
            del self._waiting[oldest]
            self.left_out += 1


class CommandBox:
    """Where commands for a run go in."""

    @staticmethod
    def send(run: RunFolder, command: Command) -> None:
        """Leave `command` for the process that trains `run`; refused where there is none."""
        try:
            is_live = holder(run.path) is not None
            if is_live:
                append_line(run.commands, COMMANDS.encode(command).encode("ascii") + b"\n")
        except OSError as error:
            raise UserError(
                f"cannot tell the run {safe_text(run.name)} anything: {reason(error)}"
            ) from error
        if not is_live:
            raise UserError(f"the run {safe_text(run.name)} is not going on: nobody would listen")


class CommandReader:
    """The commands that arrive after it was made; for the process that trains.

    To be made as soon as the run's lock is held: whoever sees the lock may send.
    """

    def __init__(self, path: Path, interval: float = 0.1) -> None:
        self._path = path
        self._interval = interval
        self._next_look = 0.0
        offset = 0
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                offset = end_of_whole_lines(descriptor)
            finally:
                os.close(descriptor)
        self._tail = LineTail(path, COMMANDS, offset)

    def poll(self) -> list[Command]:
        """What has arrived; costs next to nothing, and never fails.

        The file is looked at once an interval, however often this is called.
        """
        now = time.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + self._interval
        try:
            if self._path.stat().st_size == self._tail.offset:
                return []
            return self._tail.read()
        except (OSError, UserError):
            return []


def append_line(path: Path, line: bytes, *, durable: bool = False) -> None:
    """Add a whole line (or several) or nothing; several processes may do so at once.

    What is `durable` outlasts a power cut."""
    descriptor = os.open(path, _FOR_APPENDING, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        end = end_of_whole_lines(descriptor)
        os.ftruncate(descriptor, end)
        try:
            _write_whole(descriptor, line)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_whole(descriptor: int, line: bytes) -> None:
    written = os.write(descriptor, line)
    if written < len(line):
        raise OSError(f"only {written} of {len(line)} bytes could be written")

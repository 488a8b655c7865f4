"""The event and command files of a run: `events.jsonl` out, `commands.jsonl` in.

Both hold complete lines only; errors in writing them never stop a training.
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
from fmnist_tui.protocol.events import (
    EVENTS,
    Alert,
    Event,
    Glance,
    Progress,
    RunStarted,
    Telemetry,
)
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import JsonlReader, find_end_of_lines
from fmnist_tui.runs.lock import find_holder
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.file_lock import is_same_file
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.text import safe_text

BACKLOG_LIMIT = 32 << 20

# Never through a link: an incomplete last line is cut off.
_FOR_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


class EventLog:
    """Appends events to a run's file, for the one process that holds the run's lock.

    Each event is one write of one line. If the disk is full or gone, the training goes on:
    an incomplete line is cut off again, events wait (up to `BACKLOG_LIMIT` bytes) until they
    can be written, and frequent ones are dropped. `on_alert` is called twice per outage, at its
    beginning and at its end, from the thread that appended; it may append too. The record holds
    the second alert, with the number of events that it lacks. An incomplete last line of a
    killed process is cut off before the first event.
    """

    def __init__(self, path: Path, on_alert: Callable[[Alert], None] | None = None) -> None:
        self.path = path
        self.dropped = 0
        self._on_alert = on_alert
        self._dropped_before = 0
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._end = 0
        self._is_torn = False
        self._waiting: deque[tuple[type[Event], bytes]] = deque()
        self._waiting_bytes = 0
        self._error = ""
        self._is_closed = False
        with self._lock:
            alert = self._flush()
        self._report(alert)

    @property
    def error(self) -> str:
        """Why events cannot be written at the moment; empty if they can."""
        return self._error

    def append(self, event: Event) -> None:
        """Write `event`, or keep it until that is possible; ignored after `close`."""
        with self._lock:
            if self._is_closed:
                return
            self._add(event)
            alert = self._flush()
        self._report(alert)

    def close(self) -> str:
        """Write the waiting events, if possible, and sync the file; returns what is missing from
        the record for good, in a sentence, or an empty string."""
        loss = ""
        with self._lock:
            if self._is_closed:
                return loss
            alert = self._flush()
            self._is_closed = True
            if self._waiting:
                self.dropped += len(self._waiting)
                self._waiting.clear()
                events = format_count(self.dropped - self._dropped_before, "event")
                loss = f"the end of the run's record is lost ({events}): {self._error}"
            if self._descriptor is not None:
                # The lock notices that the folder is gone.
                if self.path.parent.is_dir() and not is_same_file(self.path, self._descriptor):
                    loss = f"the run's record is lost: {safe_text(self.path)} was deleted"
                with contextlib.suppress(OSError):
                    os.fsync(self._descriptor)
                with contextlib.suppress(OSError):
                    os.close(self._descriptor)
                self._descriptor = None
        self._report(alert)
        return loss

    def _add(self, event: Event) -> None:
        line = EVENTS.encode(event).encode("ascii") + b"\n"
        self._waiting.append((type(event), line))
        self._waiting_bytes += len(line)

    def _report(self, alert: Alert | None) -> None:
        # Outside the lock, because the callback may append an event.
        if alert is not None and self._on_alert is not None:
            self._on_alert(alert)

    def _flush(self) -> Alert | None:
        """Write the waiting lines in order; the alert of an outage that begins or ends now."""
        alert = None
        try:
            self._write_waiting()
            if self._error:
                missing = self.dropped - self._dropped_before
                lacks = f"; {format_count(missing, 'event')} missing from it" if missing else ""
                alert = Alert(time.time(), "note", f"the run's record is written again{lacks}")
                self._dropped_before, self._error = self.dropped, ""
                self._add(alert)
                self._write_waiting()
        except OSError as error:
            self._drop_excess()
            is_new = not self._error
            self._error = f"cannot write {safe_text(self.path)}: {format_error(error)}"
            if is_new:
                return Alert(time.time(), "warning", f"{self._error}; the run continues")
        return alert

    def _write_waiting(self) -> None:
        descriptor = self._open()
        while self._waiting:
            self._write_line(descriptor, self._waiting[0][1])
            _, line = self._waiting.popleft()
            self._waiting_bytes -= len(line)

    def _open(self) -> int:
        """The open file, with an incomplete last line cut off."""
        if self._descriptor is None:
            descriptor = os.open(self.path, _FOR_APPENDING, 0o666)
            try:
                self._end = find_end_of_lines(descriptor)
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
            _write_all(descriptor, line)
        except OSError:
            # If this fails as well, `_open` repeats it before the next write.
            with contextlib.suppress(OSError):
                self._open()
            raise
        self._end += len(line)
        self._is_torn = False

    def _drop_excess(self) -> None:
        """Drop a frequent event that waits, and the oldest events beyond the limit."""
        if self._waiting and self._waiting[-1][0] in (Progress, Telemetry, Glance):
            self._waiting_bytes -= len(self._waiting.pop()[1])
            self.dropped += 1
        while self._waiting_bytes > BACKLOG_LIMIT and len(self._waiting) > 1:
            # Never RunStarted, without which the others mean little.
            oldest = 1 if self._waiting[0][0] is RunStarted else 0
            self._waiting_bytes -= len(self._waiting[oldest][1])
            del self._waiting[oldest]
            self.dropped += 1


def send_command(run: RunFolder, command: Command) -> None:
    """Send `command` to the process that trains `run`; a UserError if there is none."""
    try:
        is_live = find_holder(run.path) is not None
        if is_live:
            append_line(run.commands, COMMANDS.encode(command).encode("ascii") + b"\n")
    except OSError as error:
        raise UserError(
            f"cannot send a command to the run {safe_text(run.name)}: {format_error(error)}"
        ) from error
    if not is_live:
        raise UserError(f"the run {safe_text(run.name)} is not running")


class CommandReader:
    """Reads the commands to a run that arrive after this object was created.

    Create it as soon as the run's lock is held: from then on commands may be sent.
    """

    def __init__(self, path: Path, interval: float = 0.1) -> None:
        self._path = path
        self._interval = interval
        self._next_poll = 0.0
        offset = 0
        with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
            offset = find_end_of_lines(file.fileno())
        self._reader = JsonlReader(path, COMMANDS, offset)

    def poll(self) -> list[Command]:
        """The new commands; cheap, and never fails.

        The file is examined once per interval, however often this is called.
        """
        now = time.monotonic()
        if now < self._next_poll:
            return []
        self._next_poll = now + self._interval
        try:
            if self._path.stat().st_size == self._reader.offset:
                return []
            return self._reader.read()
        except (OSError, UserError):
            return []


def append_line(path: Path, line: bytes, *, durable: bool = False) -> None:
    """Append a complete line (or several) or nothing; safe for concurrent processes.

    With `durable` it outlasts a power cut.
    """
    descriptor = os.open(path, _FOR_APPENDING, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        end = find_end_of_lines(descriptor)
        os.ftruncate(descriptor, end)
        try:
            _write_all(descriptor, line)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, line: bytes) -> None:
    written = os.write(descriptor, line)
    if written < len(line):
        raise OSError(f"only {written} of {len(line)} bytes could be written")

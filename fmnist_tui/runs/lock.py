"""One writer per run: the lock that a process holds as long as it writes a run's record.

The lock is on the file `lock` in the run's folder. The note in the file, who holds it, is
for display only.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.file_lock import FileLock, is_same_file, read_if_locked, try_lock
from fmnist_tui.util.text import safe_text

LOCK_FILE = "lock"
LOOK_SECONDS = 1.0

_NOTE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The process that writes a run; `started` is when it began, in seconds since 1970.

    A pid of 0 means that its note has not been written yet.
    """

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"process {self.pid} on {safe_text(self.host, 80)}" if self.pid else "a process"


class RunLock(FileLock):
    """The right to write a run's record."""

    def __init__(self, descriptor: int, folder: Path) -> None:
        super().__init__(descriptor)
        self._folder = folder
        self._next_look = 0.0

    def require_folder(self, *, now: bool = True) -> None:
        """Raise a UserError if the run's folder is no longer there: deleted, moved or replaced.

        With `now` False it looks once a second, however often this is called."""
        if not now and time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        if self._descriptor is not None and not is_same_file(
            self._folder / LOCK_FILE, self._descriptor
        ):
            raise UserError(
                f"the run's folder {safe_text(self._folder)} was deleted or moved while the run"
                " was written: nothing more of it can be saved"
            )

    @classmethod
    def acquire(cls, folder: Path) -> RunLock:
        """Take the lock of the run in `folder`, or raise UserError naming its holder."""
        try:
            descriptor = try_lock(folder / LOCK_FILE)
        except OSError as error:
            raise UserError(
                f"cannot lock the run {safe_text(folder)}: {format_error(error)};"
                " keep runs on a disk that can be written and locked (--runs DIR)"
            ) from error
        if descriptor is None:
            raise UserError(
                f"the run {safe_text(folder.name)} is in use by"
                f" {find_holder(folder) or 'a process'}: stop it there first, or wait until it ends"
            )
        with contextlib.suppress(OSError):
            note = json.dumps(asdict(LockHolder(socket.gethostname(), os.getpid(), _start_time())))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, note.encode("ascii"), 0)
        return cls(descriptor, folder)

    def release(self) -> None:
        """Free the lock and empty its file; a second call does nothing."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        super().release()


def find_holder(folder: Path) -> LockHolder | None:
    """The holder of the lock of the run in `folder`; None if it is free.

    Raises OSError if the lock cannot be examined.
    """
    note = read_if_locked(folder / LOCK_FILE, _NOTE_LIMIT)
    return None if note is None else _parse_note(note)


def _parse_note(data: bytes) -> LockHolder:
    try:
        note = json.loads(data)
        return LockHolder(str(note["host"]), int(note["pid"]), float(note["started"]))
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return LockHolder("", 0, 0.0)


def _start_time() -> float:
    """When this process began, from the kernel; the current time if unknown."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.time() - boot + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.time()

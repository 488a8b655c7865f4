"""One writer a run: the lock that a training process holds as long as it lives.

The lock is `flock` on the file `lock` of the run's folder; the kernel frees it when the
process ends, however it ends. What is written in the file is a courtesy to the reader.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import random
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

LOCK = "lock"

_NOTE_LIMIT = 4096
_TRIES = 200


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who trains a run: `started` is when that process began, in seconds since 1970.

    A pid of 0 is a holder that has not yet said who it is.
    """

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"process {self.pid} on {safe_text(self.host, 80)}" if self.pid else "a process"


class RunLock:
    """The right to write a run's record; had by `RunLock.acquire`, freed by `release`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        _close_in_forks()
        _held.add(self)

    @classmethod
    def acquire(cls, folder: Path) -> RunLock:
        """Take the lock of the run in `folder`, or say who has it."""
        path = folder / LOCK
        try:
            descriptor = _lock(path)
        except OSError as error:
            raise UserError(
                f"cannot lock the run {safe_text(folder)}: {reason(error)};"
                " keep runs on a disk that can be written and locked (--runs DIR)"
            ) from error
        if descriptor is None:
            raise UserError(
                f"the run {safe_text(folder.name)} is in use by {holder(folder) or 'a process'}:"
                " stop it there first, or wait until it ends"
            )
        with contextlib.suppress(OSError):
            note = json.dumps(asdict(LockHolder(socket.gethostname(), os.getpid(), _began())))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, note.encode("ascii"), 0)
        return cls(path, descriptor)

    def release(self) -> None:
        """Free the lock; doing so twice does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _forget(self) -> None:
        # In a forked child: closes the copy of the descriptor, the parent's lock stays.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def holder(folder: Path) -> LockHolder | None:
    """Who holds the lock of the run in `folder`; None where nobody does.

    Disturbs neither the holder nor whoever is about to become one (see `_lock`).
    Raises OSError where the lock cannot be looked at.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _note(os.pread(descriptor, _NOTE_LIMIT, 0))
    finally:
        os.close(descriptor)
    return None


def _lock(path: Path) -> int | None:
    """A descriptor of `path` that holds its lock; None where another process holds it."""
    for _ in range(_TRIES):
        # Never through a link: the note would overwrite whatever file it leads to.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, descriptor)
            # The run may have been archived or deleted since the file was opened.
            if _try(descriptor, fcntl.LOCK_EX) and _is_still(path, descriptor):
                stack.pop_all()
                return descriptor
            if not _try(descriptor, fcntl.LOCK_SH):
                return None
        # Refused exclusively but not shared: someone is only looking (see `holder`), or
        # is asking this same question. Neither takes long.
        time.sleep(random.uniform(0.0005, 0.005))
    return None


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _note(data: bytes) -> LockHolder:
    try:
        note = json.loads(data)
        return LockHolder(str(note["host"]), int(note["pid"]), float(note["started"]))
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return LockHolder("", 0, 0.0)


def _began() -> float:
    """When this process began, as the kernel says; where it does not, now."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.time() - boot + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.time()


_held: set[RunLock] = set()


@functools.cache
def _close_in_forks() -> None:
    """From now on forked children drop the locks of their parents.

    `flock` belongs to the open file, which a fork shares: a data loader's worker that
    outlives a killed trainer would keep the run locked. (Programs started with exec
    never see the descriptor: Python opens it close-on-exec.)
    """

    def forget() -> None:
        for lock in list(_held):
            lock._forget()
        _held.clear()

    os.register_at_fork(after_in_child=forget)

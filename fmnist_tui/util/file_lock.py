"""Locks between processes: `flock` on a file, which the kernel frees when its holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

_TRIES = 200
_POLL_SECONDS = 0.1


class FileLock:
    """An exclusive lock on an open file, held until `release`; not inherited by forks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        _release_in_forks()
        _held_locks.add(self)

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        _held_locks.discard(self)
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextlib.contextmanager
def locked(
    path: Path,
    poll: Callable[[], None] | None = None,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Hold the lock of the file (or folder) at `path`; wait while another process holds it.

    `on_wait` is called once before a wait and `poll` repeatedly during it; an exception from
    either ends the wait. On a file system without locks nobody waits. The file is not
    removed, because then two processes could hold locks of the same name.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o666)
    with FileLock(descriptor):
        if not _lock_if_supported(descriptor, fcntl.LOCK_NB):
            if on_wait is not None:
                on_wait()
            while poll is not None and not _lock_if_supported(descriptor, fcntl.LOCK_NB):
                poll()
                time.sleep(_POLL_SECONDS)
            _lock_if_supported(descriptor)
        yield


def try_lock(path: Path) -> int | None:
    """A descriptor of `path` that holds its lock; None if another process holds it."""
    for _ in range(_TRIES):
        # Never through a link: the holder may write into the file.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, descriptor)
            # The file may have been moved or deleted since it was opened.
            if _flock(descriptor, fcntl.LOCK_EX) and is_same_file(path, descriptor):
                stack.pop_all()
                return descriptor
            if not _flock(descriptor, fcntl.LOCK_SH):
                return None
        # Refused exclusively but not shared: another process is in `read_if_locked`, or
        # is trying to lock too. Neither takes long.
        time.sleep(random.uniform(0.0005, 0.005))
    return None


def read_if_locked(path: Path, limit: int) -> bytes | None:
    """The first bytes of the file at `path` if its lock is held; None if it is free.

    Does not keep others from taking the lock (see `try_lock`). Raises OSError if the lock
    cannot be examined.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return None if _flock(file.fileno(), fcntl.LOCK_SH) else file.read(limit)
    except FileNotFoundError:
        return None


def _lock_if_supported(descriptor: int, flags: int = 0) -> bool:
    """Whether the lock is held now; also true on a file system without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _flock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_same_file(path: Path, descriptor: int) -> bool:
    """Whether the open file is at `path`; True where that cannot be examined at the moment."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


_held_locks: set[FileLock] = set()


@functools.cache
def _release_in_forks() -> None:
    """Make forked children close the locks of their parents, from now on.

    `flock` belongs to the open file, which a fork shares: a data loader's worker that
    outlives a killed trainer would keep the run locked. (Programs started with exec
    never see the descriptor: Python opens it close-on-exec.)
    """

    def release() -> None:
        for lock in list(_held_locks):
            # Not the method of a subclass, which may change a file that the parent still uses.
            FileLock.release(lock)

    os.register_at_fork(after_in_child=release)

"""Faults that are put into the program: each is a function that the forked process calls first.

`FMNIST_TEST_PREPARE` names one (see `tests.e2e.fork_server`)."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from typing import Any


def no_locks() -> None:
    """A file system without locks."""

    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl.flock = flock


def failing_disk() -> None:
    """A disk on which nothing can be made to last."""

    def fsync(_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    os.fsync = fsync  # type: ignore[assignment]


def backward_clock() -> None:
    """A clock that is an hour late, and goes back a second with every look."""
    start, looks = time.time() - 3600, 0

    def now() -> float:
        nonlocal looks
        looks += 1
        return start - looks

    time.time = now


def impatient_sweep() -> None:
    """A sweep that does not wait half a minute for its storage."""
    from fmnist_tui.sweeps import retry

    retry.TIMEOUT_SECONDS, retry.RETRY_SECONDS = 0.5, 0.1

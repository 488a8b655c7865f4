"""Ends a forked program as `kill -9` does, at a chosen point; called in it before it starts.

`at_call` counts what a save does to the file system: it ends the process before or after the n-th
time, or with half of the bytes written. `after` ends it when it has used so much CPU time, which is
the same moment on a busy machine. `count` ends nothing and says how much of both there was.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WATCHED = ("fsync", "replace", "rename", "unlink", "mkdir")


def at_call(number: int) -> None:
    """End the process at this point of its saves, counted from 1."""
    points = 0

    def pass_point() -> None:
        nonlocal points
        points += 1
        if points == number:
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(pass_point)


def after(seconds: float) -> None:
    """End the process after so much CPU time."""
    # Nothing handles the signal: the kernel ends the process at once, as with SIGKILL.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def count(file: str) -> None:
    """Write into a file, at the end, how many points there were and how much CPU time."""
    points, start = 0, time.process_time()

    def pass_point() -> None:
        nonlocal points
        points += 1

    def write() -> None:
        Path(file).write_text(json.dumps([points, time.process_time() - start]))

    _watch(pass_point)
    atexit.register(write)


def _watch(pass_point: Callable[[], None]) -> None:
    for name in WATCHED:
        setattr(os, name, _around(getattr(os, name), pass_point))
    plain_open, plain_fdopen = os.open, os.fdopen

    def open_(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        descriptor = plain_open(path, flags, *arguments, **options)
        if flags & os.O_EXCL:
            pass_point()
        return descriptor

    def fdopen(descriptor: int, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode == "wb":
            return _Halves(descriptor, pass_point)
        return plain_fdopen(descriptor, mode, *arguments, **options)

    setattr(os, "open", open_)  # noqa: B010
    setattr(os, "fdopen", fdopen)  # noqa: B010


def _around(call: Callable[..., Any], pass_point: Callable[[], None]) -> Callable[..., Any]:
    def watched(*arguments: Any, **options: Any) -> Any:
        pass_point()
        result = call(*arguments, **options)
        pass_point()
        return result

    return watched


class _Halves(io.BufferedWriter):
    """Passes a point when half of what is written is in the file."""

    def __init__(self, descriptor: int, pass_point: Callable[[], None]) -> None:
        super().__init__(io.FileIO(descriptor, "wb"))
        self._pass_point = pass_point

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        super().write(view[: len(view) // 2])
        self.flush()
        self._pass_point()
        super().write(view[len(view) // 2 :])
        return len(view)

"""The processes of one trial, what they use, and processes that keep a machine busy."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

BUSY_LOOPS = 3


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def started_with(folder: Path, word: str = "") -> set[int]:
    """The living processes that were started with this folder in their environment, and with
    this word in their command; or that write their errors to a file in the folder."""
    wanted, found = os.fsencode(folder), set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_named = word.encode() in (path / "cmdline").read_bytes()
            # The environment of a forked process is that of the fork server.
            if (is_named and wanted in (path / "environ").read_bytes()) or (
                not word and folder in (path / "fd" / "2").readlink().parents
            ):
                found.add(int(path.name))
    return {pid for pid in found if is_alive(pid)}


def cpu_share(pid: int, seconds: float) -> float:
    """The share of one CPU that a process uses, measured for so long."""
    process = psutil.Process(pid)
    before, start = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return float(sum(process.cpu_times()[:2]) - before) / (time.monotonic() - start)


@contextlib.contextmanager
def busy_loops(count: int = BUSY_LOOPS) -> Iterator[None]:
    """Processes that do nothing but use a CPU."""
    loops = [
        subprocess.Popen([sys.executable, "-SEc", "while True: pass"], stdin=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()

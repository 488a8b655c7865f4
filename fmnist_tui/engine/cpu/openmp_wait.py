"""How torch's OpenMP threads wait for the slowest of them: spinning, or asleep.

Spinning is best on free CPUs (asleep costs 30 % in small batches), and the worst beside other
programs: threads that spin take the CPU from those that work. GNU's libgomp reads its
setting, `OMP_WAIT_POLICY`, only when it is loaded; but while it manages more threads than there are
CPUs, it spins only for microseconds. To make it wait briefly, a thread with a team of its own
sleeps here. Neither way changes any result.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path
from typing import Any

# Variables by which the user has decided.
_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


class OpenMPWait:
    """Switches between long and brief spinning, if torch uses GNU's libgomp."""

    def __init__(self) -> None:
        self._library: Any = None
        self._parked = 0
        self._release: threading.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_brief(self) -> bool:
        return self._thread is not None

    def set_brief(self, brief: bool, threads: int) -> None:
        """Have the team of `threads` threads wait briefly, or as long as usual.

        Call it on the thread that uses torch, after torch is imported."""
        if brief and threads > 1 and not any(map(os.environ.get, _SETTINGS)):
            self._library = self._library or _load_libgomp()
            if self._library is not None:
                self._park(self._library.omp_get_num_procs() - threads + 2)
        else:
            self._unpark()

    def _park(self, count: int) -> None:
        """Keep `count` threads, at least two, asleep in a team."""
        count = max(2, count)
        if self._parked == count:
            return
        self._unpark()
        library, started, release = self._library, threading.Event(), threading.Event()
        # Any function does that every thread of the team can call.
        function = ctypes.cast(library.omp_get_thread_num, ctypes.c_void_p)

        def sleep() -> None:
            library.GOMP_parallel(function, None, count, 0)
            started.set()
            release.wait()

        thread = threading.Thread(target=sleep, name="openmp-wait", daemon=True)
        thread.start()
        started.wait()
        self._parked, self._release, self._thread = count, release, thread

    def _unpark(self) -> None:
        if self._thread is not None and self._release is not None:
            self._release.set()
            # libgomp forgets the team when its first thread ends.
            self._thread.join()
        self._parked, self._release, self._thread = 0, None, None


def _load_libgomp() -> Any:
    """The libgomp that torch uses; None if it uses another OpenMP library.

    Other packages may have loaded copies of their own."""
    if sys.platform != "linux":
        return None
    torch_folder = str(Path(sys.modules["torch"].__file__ or "").parent)
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        paths = {line.split(maxsplit=5)[5] for line in lines if "libgomp" in line}
        path = next((path for path in paths if path.startswith(torch_folder)), None)
        if path is None and len(paths) == 1:
            path = paths.pop()
        if path is None:
            return None
        library = ctypes.CDLL(path)
        library.GOMP_parallel.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_uint,
        ]
        library.GOMP_parallel.restype = None
    except (OSError, AttributeError):
        return None
    return library


WAIT = OpenMPWait()
"""The one of this process."""

"""How many CPU threads to use beside other programs.

A training is as fast as its slowest thread, and a thread that shares its CPU with another program
gets half of it. With as many threads as there are CPUs left, none has to share.

Imports no torch: the load is first measured while torch is being imported.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fmnist_tui.engine.cpu.machine import count_cpus, usable_cpus

# The load is the average over this time; a thread is added after room for it during that time.
LOAD_SECONDS, ROOM_SECONDS = 2.0, 5.0
# How much of a CPU may be missing for a thread to be kept, and for one to be added.
_MISSING_TO_KEEP, _MISSING_TO_ADD = 0.35, 0.25
# Threads share CPUs if more of a CPU than this is missing.
_MISSING_TO_CONTEND = 0.25
_MIN_WINDOW, _MIN_INTERVAL, _MAX_AGE = 0.25, 0.2, 30.0


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU seconds used on the CPUs of this process: by all processes, and by this one."""

    t: float
    total: float
    own: float


def read_cpu_times() -> CpuTimes | None:
    """The present times; None where the system does not tell."""
    import psutil

    try:
        per_cpu = psutil.cpu_times(percpu=True)
    except (OSError, RuntimeError, psutil.Error):
        return None
    total = 0.0
    for number in usable_cpus():
        if number < len(per_cpu):
            times = per_cpu[number]._asdict()
            # Time of virtual machines is part of the user's time; stolen time is not ours.
            unused = ("idle", "iowait", "guest", "guest_nice")
            total += sum(times.values()) - sum(times.get(name, 0.0) for name in unused)
    return CpuTimes(time.monotonic(), total, time.process_time())


class CpuSharing:
    """Watches the CPU use of other processes; `threads` is how many to use beside them.

    Whoever owns torch's thread calls `update` about once a second."""

    def __init__(
        self,
        limit: int | None = None,
        cpus: int | None = None,
        read: Callable[[], CpuTimes | None] = read_cpu_times,
    ) -> None:
        self.limit = limit or count_cpus()
        self.threads = self.limit
        self._cpus = cpus or len(usable_cpus())
        self._read = read
        self._samples: deque[CpuTimes] = deque()
        self._room_since: float | None = None

    def update(self) -> None:
        """Measure, and adapt `threads`."""
        times = self._read()
        if times is None:
            return
        if self._samples and times.t - self._samples[-1].t < _MIN_INTERVAL:
            return
        if self._samples and times.t - self._samples[-1].t > _MAX_AGE:
            self._samples.clear()
        self._samples.append(times)
        while len(self._samples) > 2 and times.t - self._samples[1].t >= LOAD_SECONDS:
            self._samples.popleft()
        free = self._free()
        if free is not None:
            self._adapt(free, times.t)

    def _adapt(self, free: float, now: float) -> None:
        more = self._whole(free + _MISSING_TO_ADD)
        if more <= self.threads:
            self._room_since = None
            self.threads = min(self.threads, self._whole(free + _MISSING_TO_KEEP))
            return
        self._room_since = now if self._room_since is None else self._room_since
        if now - self._room_since >= ROOM_SECONDS:
            self.threads, self._room_since = more, None

    def are_contended(self, threads: int) -> bool:
        """Whether so many threads have to share CPUs with other programs."""
        free = self._free()
        return free is not None and threads - free > _MISSING_TO_CONTEND

    @property
    def others(self) -> float | None:
        """How many CPUs other processes use at present; None if unknown."""
        free = self._free()
        return None if free is None else self._cpus - free

    def _free(self) -> float | None:
        """The CPUs that others have left free, on average over the last seconds."""
        if not self._samples:
            return None
        first, last = self._samples[0], self._samples[-1]
        window = last.t - first.t
        if window < _MIN_WINDOW:
            return None
        others = max(0.0, (last.total - first.total) - (last.own - first.own)) / window
        return max(0.0, self._cpus - others)

    def _whole(self, cpus: float) -> int:
        return max(1, min(self.limit, math.floor(cpus)))


SHARING = CpuSharing()
"""The one of this process."""

"""The wall time of a run. Imports no torch: a sweep starts without it."""

from __future__ import annotations

import time

from fmnist_tui.protocol.events import RunEnded


class RunClock:
    """Runs from its creation; `earlier` is the wall time of the run's sessions before this one."""

    def __init__(self, earlier: float = 0.0) -> None:
        self._earlier, self._started = earlier, time.perf_counter()

    @property
    def run_seconds(self) -> float:
        """The wall time of all sessions."""
        return self._earlier + time.perf_counter() - self._started

    def run_ended(self, reason: str, message: str, step: int, epoch: int) -> RunEnded:
        """The event for the end of the session, now."""
        seconds = self.run_seconds
        session = seconds - self._earlier
        return RunEnded(time.time(), step, epoch, reason, session, message, seconds)

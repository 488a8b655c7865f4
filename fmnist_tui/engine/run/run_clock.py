"""The wall time of a run. Imports no torch: a sweep starts without it."""

from __future__ import annotations

import time

from fmnist_tui.protocol.events import RunEnded


class RunClock:
    """Runs from its creation; `earlier` is the wall time of the run's sessions before this one,
    `earlier_warm` their warm wall time, None if it is not known.

    Warm wall time is that from the first training step until the training is over and its weights
    are on disk. Validation and saving belong to it. The start of a session, pauses, searches for a
    learning rate, the capture of a CUDA graph and the evaluation at the end do not."""

    def __init__(self, earlier: float = 0.0, earlier_warm: float | None = 0.0) -> None:
        self._earlier, self._started = earlier, time.perf_counter()
        self._earlier_warm, self._warm = earlier_warm, 0.0
        # None while the training has not begun, is paused or is over
        self._warm_since: float | None = None

    @property
    def run_seconds(self) -> float:
        """The wall time of all sessions."""
        return self._earlier + time.perf_counter() - self._started

    @property
    def warm_seconds(self) -> float | None:
        """The warm wall time of all sessions; None if that of earlier ones is not known."""
        if self._earlier_warm is None:
            return None
        since = self._warm_since
        running = time.perf_counter() - since if since is not None else 0.0
        return self._earlier_warm + self._warm + running

    def start_warm(self) -> None:
        """The training begins or goes on: from now on its time counts."""
        if self._warm_since is None:
            self._warm_since = time.perf_counter()

    def stop_warm(self) -> None:
        """The training is paused or over."""
        if self._warm_since is not None:
            self._warm += time.perf_counter() - self._warm_since
            self._warm_since = None

    def leave_out(self, seconds: float) -> None:
        """Some of the time that has just passed does not count as warm."""
        if self._warm_since is not None:
            self._warm_since += seconds

    def run_ended(self, reason: str, message: str, step: int, epoch: int) -> RunEnded:
        """The event for the end of the session, now."""
        seconds = self.run_seconds
        session, warm = seconds - self._earlier, self.warm_seconds
        return RunEnded(time.time(), step, epoch, reason, session, message, seconds, warm)

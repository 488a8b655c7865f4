"""How long a run has taken: wall time, warm wall time, and the time in training steps, each of all
its sessions.

The events carry the sums. Those of earlier versions do not: there the first and the last are added
up, which takes all events of the run; their warm wall time is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.protocol.events import EpochEnded, Progress, RunEnded, RunStarted


@dataclass(slots=True)
class RunTime:
    """`train_seconds` is the time in training steps, which checkpoints count, and `train_steps` the
    number of these steps: fewer than the run's in a fork. Steps that are trained again after a
    crash count once. `warm_seconds` is the time from the first step to usable weights (see
    `RunClock`); there such steps count twice."""

    train_seconds: float = 0.0
    train_steps: int = 0
    warm_seconds: float | None = None
    # The wall time at the start of the session, at the time `_t`, and until the last event.
    _before: float = 0.0
    _at_t: float = 0.0
    _t: float = 0.0
    _last_t: float = 0.0

    @property
    def seconds(self) -> float:
        """The wall time of all sessions, without the time between them. A session without an end
        lasts until its last event."""
        return self._at_t + max(0.0, self._last_t - self._t)

    def tick(self, t: float) -> None:
        """An event of the session has come."""
        self._last_t = t

    def start(self, event: RunStarted, step: int) -> None:
        """A session starts; `step` is the last step of the one before."""
        self._before = self.seconds if event.run_seconds is None else event.run_seconds
        self._set(event.t, self._before)
        self.warm_seconds = event.warm_seconds
        if event.step < step and self.train_steps > 0:
            steps = max(0, self.train_steps - (step - event.step))
            self.train_seconds *= steps / self.train_steps
            self.train_steps = steps
        if event.train_seconds is not None:
            self.train_seconds = event.train_seconds

    def advance(self, event: Progress, steps: int) -> None:
        """Steps have been trained."""
        self.train_steps += steps
        self.train_seconds += steps * event.step_ms / 1000
        if event.train_seconds is not None:
            self.train_seconds = event.train_seconds
        if event.run_seconds is not None:
            self._set(event.t, event.run_seconds)
        self.reach(event)

    def reach(self, event: Progress | EpochEnded | RunEnded) -> None:
        """The training has come so far."""
        if event.warm_seconds is not None:
            self.warm_seconds = event.warm_seconds

    def end(self, event: RunEnded) -> None:
        """The session has ended."""
        seconds = self._before + event.seconds
        self._set(event.t, seconds if event.run_seconds is None else event.run_seconds)
        self.reach(event)

    def _set(self, t: float, seconds: float) -> None:
        self._at_t, self._t, self._last_t = seconds, t, t

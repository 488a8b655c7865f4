"""How long a step takes on average, for the time that is left of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Time constant of the average step time behind the time left: long enough to include the
# validations between epochs, short enough to follow a change of load.
_AVERAGING_SECONDS = 600.0


@dataclass(slots=True)
class StepTimer:
    """Average seconds per step by the times of the events, without pauses."""

    t: float = math.nan
    step: int = 0
    seconds: float = 0.0
    steps: float = 0.0
    paused_at: float | None = None

    def update(self, t: float, step: int) -> None:
        seconds, steps = t - self.t, step - self.step
        # False before the first step and after the clock was set back.
        if 0 <= seconds < math.inf and steps > 0:
            decay = math.exp(-seconds / _AVERAGING_SECONDS)
            self.seconds = self.seconds * decay + seconds
            self.steps = self.steps * decay + steps
        self.t, self.step = t, step

    def pause(self, t: float) -> None:
        if self.paused_at is None:
            self.paused_at = t

    def resume(self, t: float) -> None:
        if self.paused_at is not None:
            self.t += max(0.0, t - self.paused_at)
            self.paused_at = None

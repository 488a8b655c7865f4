"""State of a learning-rate search, rebuilt from the events of its run."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from fmnist_tui.protocol.events import STOPPED, LrProbed, LrSearched
from fmnist_tui.protocol.lr_curve import MAX_STEPS, LrSuggestion, suggest_rate

_MAX_LOG_RATE = 100.0


@dataclass(slots=True)
class LrSearch:
    """The probes of a search so far: `points` are (rate, loss).

    It started at `step` of its run and takes `probes` probes; `end` is None while it runs.
    """

    started: float
    step: int
    probes: int
    t: float = 0.0
    points: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MAX_STEPS))
    end: LrSearched | None = None

    @classmethod
    def from_probe(cls, event: LrProbed) -> LrSearch:
        """A search that starts with this probe."""
        return cls(event.t, event.step, event.probes)

    def add(self, event: LrProbed) -> None:
        """Add a probe; ignored once the search has ended."""
        if self.end is None:
            self.t = event.t
            self.points.append((event.lr, event.loss))

    def close(self, t: float, step: int, message: str) -> None:
        """End a search whose run has ended without an event of its own."""
        if self.end is None:
            self.end = LrSearched(t, step, STOPPED, message=message)

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last rate of the search; None before there are two points."""
        if len(self.points) < 2:
            return None
        (first, _), (second, _) = self.points[0], self.points[1]
        if not 0 < first < second < math.inf:
            return None
        last = math.log(first) + (self.probes - 1) * math.log(second / first)
        return (first, math.exp(last)) if last < _MAX_LOG_RATE else None

    @property
    def eta_seconds(self) -> float | None:
        """Estimated seconds until the last probe; None if unknown."""
        done = len(self.points) - 1
        remaining = self.probes - len(self.points)
        if self.end is not None or done < 1:
            return None
        seconds = (self.t - self.started) / done * max(0, remaining)
        return seconds if 0 <= seconds < math.inf else None

    def suggestion(self) -> LrSuggestion:
        """The suggestion from the points so far."""
        return suggest_rate(self.points)


def format_search_result(event: LrSearched) -> str:
    """The result of a search, in a line."""
    if event.lr is None:
        return event.message or "the search was cancelled"
    falls = ""
    if event.low is not None and event.high is not None:
        falls = f" (it falls from {event.low:.2g} to {event.high:.2g})"
    return f"suggests lr {event.lr:.2g}, where the loss falls fastest{falls}"

"""A search for a learning rate, as the events of its run tell it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from fmnist_tui.protocol.events import STOPPED, LrProbed, LrSearched
from fmnist_tui.protocol.lr_curve import MAX_STEPS, LrSuggestion, suggest_rate

# The logarithm of more than any learning rate.
_BEYOND = 100.0


@dataclass(slots=True)
class LrSearch:
    """What the probes of one search have found so far: `points` are (rate, loss).

    It began at `step` of its run and is of `probes` in all; `end` is None while it goes on.
    """

    started: float
    step: int
    probes: int
    t: float = 0.0
    points: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MAX_STEPS))
    end: LrSearched | None = None

    @classmethod
    def from_probe(cls, event: LrProbed) -> LrSearch:
        """The search whose first probe this is."""
        return cls(event.t, event.step, event.probes)

    def add(self, event: LrProbed) -> None:
        """Take in a probe; nothing once the search is over."""
        if self.end is None:
            self.t = event.t
            self.points.append((event.lr, event.loss))

    def close(self, t: float, step: int, why: str) -> None:
        """Its run has ended: so has the search, if it has not said so itself."""
        if self.end is None:
            self.end = LrSearched(t, step, STOPPED, message=why)

    @property
    def span(self) -> tuple[float, float] | None:
        """The first rate and the last that there will be; None before there are two."""
        if len(self.points) < 2:
            return None
        (first, _), (second, _) = self.points[0], self.points[1]
        if not 0 < first < second < math.inf:
            return None
        last = math.log(first) + (self.probes - 1) * math.log(second / first)
        return (first, math.exp(last)) if last < _BEYOND else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the last probe at the pace so far; None where nothing can be said."""
        done = len(self.points) - 1
        left = self.probes - len(self.points)
        if self.end is not None or done < 1:
            return None
        seconds = (self.t - self.started) / done * max(0, left)
        return seconds if 0 <= seconds < math.inf else None

    def suggestion(self) -> LrSuggestion:
        """What the points say so far."""
        return suggest_rate(self.points)


def format_search_result(event: LrSearched) -> str:
    """What a search came to, in a line."""
    if event.lr is None:
        return event.message or "the search was given up"
    falls = ""
    if event.low is not None and event.high is not None:
        falls = f" (it falls from {event.low:.2g} to {event.high:.2g})"
    return f"suggests lr {event.lr:.2g}, where the loss falls fastest{falls}"

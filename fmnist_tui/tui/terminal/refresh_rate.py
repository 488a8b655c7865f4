"""How often the dashboard updates: as often as a small share of the CPU time allows."""

from __future__ import annotations

import time

SHARE = 0.015
SHORTEST, LONGEST = 0.1, 1.0


class RefreshRate:
    """The delay until the next update, from the CPU time that this thread has used.

    Everything that the screen's thread did since the last update counts; the delay is chosen so
    that it is at most `share` of the time.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._used = time.thread_time()
        self.delay = SHORTEST

    def next(self) -> float:
        used = time.thread_time()
        cost, self._used = used - self._used, used
        target = min(LONGEST, max(SHORTEST, cost / self._share))
        # Half way only: one expensive moment (a key, a resize) must not stop the updates.
        self.delay = (self.delay + target) / 2
        return self.delay

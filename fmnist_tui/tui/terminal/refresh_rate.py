"""How often the dashboard updates: as often as a small share of the CPU time allows."""

from __future__ import annotations

import time

SHARE = 0.015
SHORTEST, LONGEST = 0.1, 1.0


class RefreshRate:
    """The delay until the next update, so long that all that this thread has done since the last
    one is at most SHARE of the time."""

    def __init__(self) -> None:
        self._used = time.thread_time()
        self.delay = SHORTEST

    def next(self) -> float:
        used = time.thread_time()
        cost, self._used = used - self._used, used
        target = min(LONGEST, max(SHORTEST, cost / SHARE))
        # Half way only: one expensive moment (a key, a resize) must not stop the updates.
        self.delay = (self.delay + target) / 2
        return self.delay

"""How often the screen looks at the run: as often as it can for a small share of the machine."""

from __future__ import annotations

import time

SHARE = 0.015
SHORTEST, LONGEST = 0.1, 1.0


class RefreshRate:
    """Seconds until the next look, by what the thread of the screen has used since the last.

    Whatever that thread does (drawing the last look among it) is charged, and the next
    look waits until the charge is at most `SHARE` of the time.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._used = time.thread_time()
        self.delay = SHORTEST

    def next(self) -> float:
        used = time.thread_time()
        cost, self._used = used - self._used, used
        wanted = min(LONGEST, max(SHORTEST, cost / self._share))
        # Half-way, so that one dear moment (a key, a resize) does not make the screen sleep.
        self.delay = (self.delay + wanted) / 2
        return self.delay

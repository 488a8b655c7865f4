"""All visitors: so many places and no more, and nobody left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fmnist_tui.serve.dashboard_process import DashboardProcess

# So long may a dashboard take to hand its run over once its tab is closed; while the server
# lives there is no hurry.
LEAVING_SECONDS = 120.0
# A page that is loaded anew comes back before the dashboard it had has gone.
WAIT_SECONDS = 15.0


class ConnectionPool:
    """`admit` gives a visitor a place, `dismiss` lets one go; `close` lets all go."""

    def __init__(self, places: int, told: Callable[[str], None]) -> None:
        self.places = places
        self._told = told
        self._here: set[DashboardProcess] = set()
        self._leaving: dict[asyncio.Task[None], DashboardProcess] = {}
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether there is no place, nor will one be free in a moment."""
        return self._closed or (self._taken >= self.places and not self._leaving)

    @property
    def _taken(self) -> int:
        return len(self._here) + len(self._leaving)

    async def admit(self) -> DashboardProcess | None:
        """A place for a new visitor; None if none is free, and none becomes free soon."""
        end = asyncio.get_running_loop().time() + WAIT_SECONDS
        while self._taken >= self.places and not self._closed:
            left = end - asyncio.get_running_loop().time()
            if not self._leaving or left <= 0:
                return None
            await asyncio.wait(
                set(self._leaving), timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
        if self._closed:
            return None
        visitor = DashboardProcess(self._told)
        self._here.add(visitor)
        return visitor

    def dismiss(self, visitor: DashboardProcess) -> None:
        """Let a visitor go: the place is free once the dashboard has ended."""
        if visitor not in self._here:
            return
        self._here.remove(visitor)
        task = asyncio.create_task(self._end(visitor, LEAVING_SECONDS))
        self._leaving[task] = visitor
        task.add_done_callback(self._leaving.pop)

    async def close(self, seconds: float) -> None:
        """Let everybody go, those too who are about to, and wait until they have gone: so long
        and no longer."""
        self._closed = True
        for visitor in list(self._here):
            self.dismiss(visitor)
        if not self._leaving:
            return
        _, late = await asyncio.wait(set(self._leaving), timeout=seconds)
        for task in late:
            # Cancelled, it kills what is left of the dashboard and waits for that.
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _end(self, visitor: DashboardProcess, seconds: float) -> None:
        try:
            by_itself = await visitor.end(seconds)
        except asyncio.CancelledError:
            by_itself = False
        if not by_itself:
            self._told(
                "a dashboard did not end in time and was killed; `fmnist-tui runs list` shows"
                " whether a run is to be resumed"
            )

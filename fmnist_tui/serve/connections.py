"""The dashboards of all connections: limited in number, and all stopped at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fmnist_tui.serve.dashboard_process import DashboardProcess

# How long a dashboard may take to hand its run over after its tab is closed. There is no hurry
# while the server runs.
RELEASE_SECONDS = 120.0
# A reloaded page reconnects before its previous dashboard has ended.
WAIT_SECONDS = 15.0


class ConnectionPool:
    """At most `limit` dashboards at once, those about to end included."""

    def __init__(self, limit: int, on_message: Callable[[str], None]) -> None:
        self.limit = limit
        self._on_message = on_message
        self._active: set[DashboardProcess] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def is_full(self) -> bool:
        """Whether there is no free slot and none is about to become free."""
        return self._is_closed or (self._count >= self.limit and not self._stopping)

    @property
    def _count(self) -> int:
        return len(self._active) + len(self._stopping)

    async def acquire(self) -> DashboardProcess | None:
        """A dashboard for a new connection, not yet started; None if no slot becomes free soon."""
        end = asyncio.get_running_loop().time() + WAIT_SECONDS
        while self._count >= self.limit and not self._is_closed:
            remaining = end - asyncio.get_running_loop().time()
            if not self._stopping or remaining <= 0:
                return None
            await asyncio.wait(
                self._stopping, timeout=remaining, return_when=asyncio.FIRST_COMPLETED
            )
        if self._is_closed:
            return None
        dashboard = DashboardProcess(self._on_message)
        self._active.add(dashboard)
        return dashboard

    def release(self, dashboard: DashboardProcess) -> None:
        """Stop a dashboard in the background. Its slot is free once it has ended."""
        if dashboard not in self._active:
            return
        self._active.remove(dashboard)
        task = asyncio.create_task(self._stop(dashboard))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def close(self, seconds: float) -> None:
        """Stop all dashboards, and kill those that have not ended after `seconds`."""
        self._is_closed = True
        for dashboard in list(self._active):
            self.release(dashboard)
        if not self._stopping:
            return
        _, late = await asyncio.wait(self._stopping, timeout=seconds)
        for task in late:
            # When cancelled, it kills the dashboard and waits for its end.
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _stop(self, dashboard: DashboardProcess) -> None:
        try:
            has_ended = await dashboard.stop(RELEASE_SECONDS)
        except asyncio.CancelledError:
            has_ended = False
        if not has_ended:
            self._on_message(
                "a dashboard did not end in time and was killed; `fmnist-tui runs list` shows"
                " whether a run needs to be resumed"
            )

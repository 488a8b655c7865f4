"""A dashboard with temporary folders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual._context import active_app
from textual.app import App
from textual.pilot import Pilot

from fmnist_tui.engine.session.session import Session
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.settings import Settings

IDLE_SECONDS = 60.0


async def wait_for_idle(*_: float) -> None:
    """Wait until all messages are handled, with those that follow from them, and all is drawn.

    Textual's own function takes a process that got no CPU time for idle."""
    loop = asyncio.get_running_loop()
    end = loop.time() + IDLE_SECONDS
    while True:
        await asyncio.sleep(0)
        dashboard = active_app.get()
        if dashboard._running and dashboard._batch_count:
            await asyncio.sleep(0.01)  # drawing is delayed
        elif not loop._ready and not _draw_pending(dashboard):  # type: ignore[attr-defined]
            return
        assert loop.time() < end, "the dashboard is never idle"


def _draw_pending(dashboard: App[object]) -> bool:
    """Draw what the screen draws at its next frame; returns whether there was anything."""
    if not dashboard._running or not dashboard.screen_stack:
        return False
    if dashboard._resize_timer is not None:
        dashboard._check_resize()
        return True
    screen = dashboard.screen
    pending = (
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )
    if pending:
        screen._on_timer_update()
    return bool(pending)


@pytest.fixture(autouse=True)
def exact_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pilot wait for exactly what it means, however busy the machine is."""
    for module in ("textual.app", "textual.pilot"):
        monkeypatch.setattr(f"{module}.wait_for_idle", wait_for_idle)


OpenDashboard = Callable[..., AbstractAsyncContextManager[tuple[Dashboard, Pilot[int]]]]


@pytest.fixture
def app_state(tmp_path: Path) -> Iterator[AppState]:
    """The state of a dashboard with empty folders."""
    runs, data = tmp_path / "runs", tmp_path / "data"
    runs.mkdir()
    data.mkdir()
    session = Session(runs, data)
    yield AppState(runs, data, session, Settings())
    session.close()


@pytest.fixture
def open_dashboard(app_state: AppState) -> OpenDashboard:
    """Open the dashboard on a screen: `async with open_dashboard("data") as (dashboard, pilot)`."""

    @asynccontextmanager
    async def open_screen(
        first: str = "data", size: tuple[int, int] = (120, 36)
    ) -> AsyncIterator[tuple[Dashboard, Pilot[int]]]:
        dashboard = Dashboard(app_state, first)
        async with dashboard.run_test(size=size) as pilot:
            await pilot.pause()
            yield dashboard, pilot

    return open_screen

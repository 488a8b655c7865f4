"""A dashboard with temporary folders."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual._context import active_app
from textual.app import App
from textual.pilot import Pilot

from fmnist_tui.data.sources.source_chain import OFFLINE
from fmnist_tui.engine.session.session import Session
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.settings import Settings

IDLE_SECONDS = 60.0
# The attributes of a screen that say that something is to be drawn, or called after drawing.
PENDING = (
    "_layout_required",
    "_scroll_required",
    "_repaint_required",
    "_recompose_required",
    "_dirty_widgets",
    "_callbacks",
)


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
        if loop.time() >= end:
            pytest.fail(f"the dashboard is never idle: {await _busy_with(dashboard)}")


async def _busy_with(dashboard: App[object], turns: int = 300) -> str:
    """What is ready in the event loop and what is to be drawn, and in how many of these turns."""
    loop = asyncio.get_running_loop()
    screen = dashboard.screen_stack[-1] if dashboard.screen_stack else None
    ready: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    for _ in range(turns):
        handles = loop._ready  # type: ignore[attr-defined]
        for handle in handles:
            task = getattr(handle._callback, "__self__", None)
            ready[task.get_name() if isinstance(task, asyncio.Task) else repr(handle)] += 1
        for name in PENDING:
            if value := getattr(screen, name, None):
                pending[f"{name} {value}"] += 1
        if not handles:
            _draw_pending(dashboard)
        await asyncio.sleep(0)
    state = f"{screen}, running {dashboard._running}, batches {dashboard._batch_count}"
    return f"{state}, ready {ready.most_common(12)}, pending {pending.most_common(12)}"


def _draw_pending(dashboard: App[object]) -> bool:
    """Draw what the screen draws at its next frame; returns whether there was anything."""
    if not dashboard._running or not dashboard.screen_stack:
        return False
    if dashboard._resize_timer is not None:
        dashboard._check_resize()
        return True
    screen = dashboard.screen
    pending = any(getattr(screen, name) for name in PENDING)
    if pending:
        screen._on_timer_update()
    return pending


@pytest.fixture(autouse=True)
def exact_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pilot wait for exactly what it means, however busy the machine is."""
    for module in ("textual.app", "textual.pilot"):
        monkeypatch.setattr(f"{module}.wait_for_idle", wait_for_idle)


OpenDashboard = Callable[..., AbstractAsyncContextManager[tuple[Dashboard, Pilot[int]]]]


@pytest.fixture
def app_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppState]:
    """The state of a dashboard with empty folders, which fetches nothing."""
    monkeypatch.setenv(OFFLINE, "1")
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
        first: str = "data", size: tuple[int, int] = (120, 36), toasts: bool = False
    ) -> AsyncIterator[tuple[Dashboard, Pilot[int]]]:
        dashboard = Dashboard(app_state, first)
        async with dashboard.run_test(size=size, notifications=toasts) as pilot:
            await pilot.pause()
            yield dashboard, pilot

    return open_screen

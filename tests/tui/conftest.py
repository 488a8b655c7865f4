"""A dashboard with temporary folders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from fmnist_tui.engine.session.session import Session
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.settings import Settings


@pytest.fixture(autouse=True)
def shorter_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check more often than Textual does by default whether the app is idle."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.005)


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

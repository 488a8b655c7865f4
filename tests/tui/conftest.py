"""A dashboard for tests: folders of its own, no session thread unless a test asks for one."""

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
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than Textual would whether the process has come to rest."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.005)


Opened = Callable[..., AbstractAsyncContextManager[tuple[Dashboard, Pilot[int]]]]


@pytest.fixture
def app_state(tmp_path: Path) -> Iterator[AppState]:
    """A desk over empty folders; its session's thread begins with the first work."""
    runs, data = tmp_path / "runs", tmp_path / "data"
    runs.mkdir()
    data.mkdir()
    session = Session(runs, data)
    yield AppState(runs, data, session, Settings())
    session.close()


@pytest.fixture
def opened(app_state: AppState) -> Opened:
    """`async with opened("data", size=(120, 36)) as (bench, pilot)`: the dashboard on a screen."""

    @asynccontextmanager
    async def open_it(
        first: str = "data", size: tuple[int, int] = (120, 36)
    ) -> AsyncIterator[tuple[Dashboard, Pilot[int]]]:
        dashboard = Dashboard(app_state, first)
        async with dashboard.run_test(size=size) as pilot:
            await pilot.pause()
            yield dashboard, pilot

    return open_it

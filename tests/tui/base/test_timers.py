"""One-shot timers fire, however long the process is held up while they start."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from textual import _time

from fmnist_tui.tui.screens.train.form import FieldList
from tests.tui.conftest import OpenDashboard

HELD_UP_SECONDS = 5.0
# Only a timer that never fires takes so long, however busy the machine is.
LIMIT = 60.0


def hold_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass between the first two readings of the clock that timers take."""
    readings = 0

    def get_time() -> float:
        nonlocal readings
        readings += 1
        return _time.get_time() + (HELD_UP_SECONDS if readings > 1 else 0.0)

    monkeypatch.setattr("textual.timer._time", SimpleNamespace(get_time=get_time))


async def test_a_screen_is_drawn_if_the_process_is_held_up_while_it_opens(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        hold_up(monkeypatch)
        dashboard.switch_mode("train")
        async with asyncio.timeout(LIMIT):
            while dashboard._batch_count:
                await asyncio.sleep(0.01)
        await pilot.pause()
        assert dashboard.screen.query_one(FieldList).size.area


@pytest.mark.parametrize("owner", ["app", "screen", "widget"])
async def test_a_timer_fires_if_the_process_is_held_up_while_it_starts(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    async with open_dashboard("train") as (dashboard, _):
        screen = dashboard.screen
        owners = {"app": dashboard, "screen": screen, "widget": screen.query_one("#loss")}
        fired = asyncio.Event()
        hold_up(monkeypatch)
        owners[owner].set_timer(0.05, fired.set)
        async with asyncio.timeout(LIMIT):
            await fired.wait()

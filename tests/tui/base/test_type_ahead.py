"""Keys of screens in a rush: none is lost, and they are handled in the order they were typed."""

from __future__ import annotations

import asyncio
import random

import pytest
from textual.events import Key

from fmnist_tui.tui.app import SCREENS, Dashboard
from tests.tui.conftest import OpenDashboard

NAMES = {screen.KEY: screen.NAME for screen in SCREENS}
RUSHES = 80
# After this many, screens are opened anew: the first time takes longest.
RENEWED_EVERY = 40


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The screens that keys have asked for."""
    names: list[str] = []
    show = Dashboard.action_show

    def record(dashboard: Dashboard, name: str) -> None:
        names.append(name)
        show(dashboard, name)

    monkeypatch.setattr(Dashboard, "action_show", record)
    return names


async def type_keys(dashboard: Dashboard, keys: str, shown: list[str]) -> None:
    """Type without a pause, which the pilot would make, and wait until all is handled."""
    shown.clear()
    for key in keys:
        dashboard.post_message(Key(key, key))
    async with asyncio.timeout(60):
        while len(shown) < len(keys):
            await asyncio.sleep(0)


async def test_pairs_and_triples_of_screen_keys_are_all_handled_in_order(
    open_dashboard: OpenDashboard, shown: list[str]
) -> None:
    dice = random.Random(1)
    async with open_dashboard(size=(60, 20)) as (dashboard, _):
        for number in range(RUSHES):
            if number % RENEWED_EVERY == 0:
                for screen in SCREENS:
                    if dashboard.current_mode != screen.NAME:
                        await dashboard.remove_mode(screen.NAME)
                        dashboard.add_mode(screen.NAME, screen)
            keys = "".join(dice.choices(list(NAMES), k=dice.choice([2, 3])))
            names = [NAMES[key] for key in keys]
            await type_keys(dashboard, keys, shown)
            assert (keys, shown, dashboard.current_mode) == (keys, names, names[-1])

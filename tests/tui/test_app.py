"""The dashboard as a whole."""

from __future__ import annotations

from tests.tui.conftest import Opened


async def test_it_opens_and_leaves_by_q(opened: Opened) -> None:
    async with opened("train") as (bench, pilot):
        await pilot.press("q")
        await pilot.pause()
    assert bench.return_value == 0

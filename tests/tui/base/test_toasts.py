"""Toasts: one line each above the bar of keys; all of them stay readable in a list."""

from __future__ import annotations

from textual.widgets._toast import Toast

from fmnist_tui.tui.base.dialogs import TextDialog
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.line_table import LineTable
from tests.tui.conftest import OpenDashboard
from tests.tui.support import wait_until


async def test_toasts_are_single_lines_told_apart_by_signs_and_readable_in_full_later(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    app_state.settings.keymap["train.stop"] = "K"
    async with open_dashboard("runs", toasts=True) as (dashboard, pilot):

        def shown() -> list[str]:
            return [str(toast.render()) for toast in dashboard.screen.query(Toast)]

        long = "a path that cannot be written: " + "/very-long-folder" * 20
        for message in ("first note", "{train.stop} stops it", "{train.stop} stops it"):
            dashboard.notify(message)
        await wait_until(pilot, lambda: shown() == ["K stops it"])
        dashboard.notify(long, "error")
        dashboard.notify("seen there", seen_on="runs")
        dashboard.notify("careful", "warning")
        await wait_until(pilot, lambda: len(shown()) == 2)
        error, warning = shown()
        assert error.startswith("✗ a path") and error.endswith("… (E: all of it)")
        assert warning == "▲ careful"
        keys = dashboard.screen.query_one(KeyBar).region
        regions = [toast.region for toast in dashboard.screen.query(Toast)]
        assert [region.y for region in regions] == [keys.y - 2, keys.y - 1]
        assert {(region.height, region.width) for region in regions} == {(1, keys.width)}
        await pilot.press("escape")
        await wait_until(pilot, lambda: shown() == [])
        await pilot.press("E")
        table = dashboard.screen.query_one(LineTable)
        await wait_until(pilot, lambda: table.current is not None)
        await pilot.press("down", "enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TextDialog))
        assert isinstance(dashboard.screen, TextDialog)
        assert str(dashboard.screen._text) == long

"""The panel of a search: opened from the list of runs, and at any size."""

from __future__ import annotations

import pytest

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import EVENTS
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.line_table import LineTable
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, STEPS, make_run, wait_until
from tests.tui.train.support import (
    SUGGESTED,
    FakeTraining,
    finish_search,
    is_open,
    panel,
    panes_by_view,
    probes,
    screen_of,
    search_events,
    send_events,
    text_of,
    wait_for_charts,
    wait_for_panel,
)


def save_search(app_state: AppState, config: RunConfig) -> RunFolder:
    """The folder of a finished search."""
    folder = RunFolder.create(app_state.runs_dir, "tiny-lrfind", config.dataset)
    folder.config.write_text(recipes.to_toml(config, {"version": "0"}))
    folder.events.write_text("".join(EVENTS.encode(event) + "\n" for event in search_events()))
    return folder


async def test_a_search_opened_from_runs_shows_its_curve_and_settings(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    folder = save_search(app_state, CONFIG.changed(optimizer="sgd"))
    async with open_dashboard("runs") as (dashboard, pilot):
        table = dashboard.screen.query_one(LineTable)
        await wait_until(pilot, lambda: len(table.rows) == 2)
        lines = [line.plain for line in table.rows.values()]
        row = next(row for row, line in enumerate(lines) if "lrfind" in line)
        assert "%" not in lines[row] and "–" in lines[row]
        table.move_cursor(row)
        await pilot.press("enter")
        await wait_until(
            pilot, lambda: isinstance(dashboard.screen, TrainScreen) and is_open(dashboard)
        )
        await wait_until(pilot, lambda: "falls fastest" in text_of(dashboard))
        assert app_state.selected_run != folder, "a search cannot be evaluated"
        await pilot.press("enter")
        values = screen_of(dashboard).draft.values
        assert (values["optimizer"], values["lr"]) == ("sgd", SUGGESTED)
        assert dashboard.focused is panel(dashboard).curve
        await pilot.press("escape")
        assert app_state.feed is None
        await wait_for_charts(dashboard, pilot)


async def test_evaluate_reports_that_a_search_has_no_predictions(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    app_state.selected_run = save_search(app_state, CONFIG)
    async with open_dashboard("evaluate") as (dashboard, pilot):

        def text() -> str:
            return "\n".join(
                str(getattr(widget, "content", "")) for widget in dashboard.screen.query("Static")
            )

        await wait_until(pilot, lambda: "learning-rate search" in text())


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60), (60, 16)])
async def test_the_panel_fits_at_any_size(
    open_dashboard: OpenDashboard, searches: list[FakeTraining], size: tuple[int, int]
) -> None:
    async with open_dashboard("train", size=size) as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        await wait_for_panel(dashboard, pilot)
        assert (
            panel(dashboard).region.right <= size[0] and panel(dashboard).region.bottom <= size[1]
        )
        text = panel(dashboard).query_one("LrText")
        drawn = "\n".join(text.render_line(y).text for y in range(text.size.height))
        assert f"lr {SUGGESTED}" in drawn and "enter uses it" in drawn
        if size[1] > 16:
            assert panel(dashboard).curve._chart is not None


@pytest.mark.parametrize(("size", "focused"), [((80, 24), "loss"), ((120, 36), None)])
async def test_after_a_search_the_focus_is_visible(
    open_dashboard: OpenDashboard, run: FakeTraining, size: tuple[int, int], focused: str | None
) -> None:
    async with open_dashboard("train", size=size) as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        await send_events(dashboard, pilot, run, *probes(5, step=2 * STEPS))
        await pilot.press("escape")
        await pilot.pause()
        assert dashboard.focused is not None
        assert dashboard.focused.id == focused and dashboard.focused.region.area


async def test_v_shows_the_other_views_from_a_search(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train", size=(80, 24)) as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        names = ("#settings", "LrPanel", "#model", "#log")
        panes = await panes_by_view(dashboard, pilot, names)
        assert panes == ["LrPanel", "#model", "#log", "#settings"]


async def test_hovering_shows_the_values_of_the_curve(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        curve = panel(dashboard).curve
        assert curve._chart is not None
        await pilot.hover(curve, offset=(curve._chart.column(-3), curve._chart.top + 2))
        heading = curve.render_line(0).text
        assert "lr 0.00" in heading and "smoothed" in heading

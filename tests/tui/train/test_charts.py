"""The charts on Train: keys, mouse, and what is drawn when."""

from __future__ import annotations

import sys
import time

import pytest
from textual.events import MouseScrollUp

from fmnist_tui.protocol.events import Changed
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.screens.train.charts import RunCharts
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from tests.tui.conftest import OpenDashboard
from tests.tui.support import STEPS, wait_until
from tests.tui.train.support import FakeTraining


def charts(dashboard: Dashboard) -> tuple[LineChart, LineChart]:
    loss, accuracy = dashboard.screen.query_one(RunCharts).query(LineChart)
    return loss, accuracy


def drawn(chart: LineChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


def cursors(dashboard: Dashboard) -> list[int | None]:
    return [chart._cursor for chart in charts(dashboard)]


def key_bar(dashboard: Dashboard) -> str:
    return dashboard.screen.query_one(KeyBar).render().plain


async def test_one_cursor_zoom_and_full_screen_by_keys(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    run.events.append(Changed(0.0, 33, "lr", "0.001"))
    async with open_dashboard("train", size=(200, 60)) as (dashboard, pilot):
        loss, accuracy = charts(dashboard)
        await wait_until(pilot, lambda: bool(loss._lines) and bool(accuracy._chart))
        assert "Zoom" not in key_bar(dashboard)
        loss.focus()
        await pilot.press("left", "left")
        # The keys of the focused chart come first, and one cursor is in both charts.
        assert key_bar(dashboard).startswith(" ←→ Values ")
        left, right = cursors(dashboard)
        assert left is not None and left == right
        for chart in (loss, accuracy):
            assert "step 39" in drawn(chart)[0] and "train" in drawn(chart)[0]
        # What the marks mean is said below the chart.
        assert "L rate changed" in drawn(loss)[-1] and "B best epoch" in drawn(loss)[-1]
        await pilot.press("plus")
        assert loss._chart is not None and accuracy._chart is not None
        part = loss._chart.low, loss._chart.high
        assert part[0] > 1 and part == (accuracy._chart.low, accuracy._chart.high)
        await pilot.press("shift+left")
        assert loss._chart.low < part[0]
        await pilot.press("0")
        assert loss._chart.low == 0
        await pilot.press("enter")
        await wait_until(pilot, lambda: loss.size.width == 200)
        rows = drawn(loss)
        heading = next(row for row in rows if row.split()[:4] == ["step", "train", "raw", "val"])
        assert len(rows) - rows.index(heading) > 10
        await pilot.press("up", "up")
        assert "step 37" in drawn(loss)[0]
        await pilot.press("escape")
        await wait_until(pilot, lambda: loss.size.width < 200)
        assert None not in cursors(dashboard)
        await pilot.press("escape")
        assert cursors(dashboard) == [None, None]


async def test_the_scale_the_x_axis_and_the_smoothing_are_chosen_and_remembered(
    open_dashboard: OpenDashboard, run: FakeTraining, app_state: AppState
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        loss, accuracy = charts(dashboard)
        await wait_until(pilot, lambda: bool(loss._lines) and bool(accuracy._lines))
        # The loss spans more than a factor.
        assert (loss.log_scale, accuracy.log_scale) == (True, False)
        band = loss._lines[0].low
        assert len(band) == 2 * STEPS and list(band) != list(loss._lines[0].ys)
        loss.focus()
        await pilot.press("L", "x", "m", "m")
        assert (loss.log_scale, loss._lines[0].low) == (False, ())
        assert list(loss._lines[0].ys) == list(band)
        assert loss._lines[0].xs[-1] == 2.0  # epochs
        values = app_state.settings.values
        assert values["chart.scale"] == "linear" and values["train.x"] == "epoch"
        assert values["train.smoothing"] == "off"
        await pilot.press("L", "x")
        assert (loss.log_scale, values["chart.scale"]) == (True, "auto")
        assert loss._lines[0].xs[-1] == pytest.approx(4.0)  # seconds
        assert any("0:02" in row for row in drawn(loss))


async def test_the_wheel_zooms_around_the_pointer_and_dragging_moves(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        loss, accuracy = charts(dashboard)
        await wait_until(pilot, lambda: bool(loss._lines) and bool(accuracy._chart))
        assert loss._chart is not None
        at = (loss._chart.left + 20, 4)
        x = loss._chart.x_at(at[0])
        await pilot._post_mouse_events([MouseScrollUp], loss, offset=at)
        assert loss._chart.low > 0 and loss._chart.x_at(at[0]) == pytest.approx(x)
        low = loss._chart.low
        await pilot.mouse_down(loss, offset=at)
        await pilot.hover(loss, offset=(at[0] - 5, 4))
        await pilot.mouse_up(loss, offset=(at[0] - 5, 4))
        assert loss._chart.low > low and accuracy._chart is not None
        assert accuracy._chart.low == loss._chart.low


async def test_charts_that_may_not_be_drawn_yet_are_drawn_later_without_another_event(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    more = list(run.events)
    run.events.clear()
    async with open_dashboard("train") as (dashboard, pilot):
        loss = dashboard.screen.query_one("#loss", LineChart)
        accuracy = dashboard.screen.query_one("#accuracy", LineChart)
        accuracy._next_redraw = time.monotonic() + 1
        run.events.extend(more)
        await wait_until(pilot, lambda: bool(loss._lines) and bool(accuracy._lines))


class SlowImport:
    """A finder that finds nothing, and takes half a second of CPU time for plotext."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "plotext":
            end = time.thread_time() + 0.5
            while time.thread_time() < end:
                pass


async def test_importing_plotext_does_not_put_off_the_second_drawing(
    open_dashboard: OpenDashboard, run: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "plotext", raising=False)
    monkeypatch.setattr(sys, "meta_path", [SlowImport(), *sys.meta_path])
    async with open_dashboard("train") as (dashboard, pilot):
        chart = dashboard.screen.query_one("#loss", LineChart)
        await wait_until(pilot, lambda: bool(chart._lines))
        assert "plotext" in sys.modules
        assert chart.due_in < 0.5 / chart.MAX_TIME_SHARE / 2

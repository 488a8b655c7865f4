"""Parts of the chart widget that need no dashboard."""

from __future__ import annotations

from rich.style import Style

from fmnist_tui.render.line_chart import MARGIN, Line
from fmnist_tui.tui.widgets.charts.chart_view import ChartView
from fmnist_tui.tui.widgets.charts.colours import chart_colours
from fmnist_tui.tui.widgets.charts.heading import LineValue, fit_heading
from fmnist_tui.tui.widgets.charts.value_table import ValueTable

TRAIN = Line("train", [1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0], low=[3.5] * 4, high=[4.5] * 4)
VAL = Line("val", [2, 4], [3.5, 2.5], "orange")


class Viewer:
    """Counts what it is told."""

    extent: tuple[float, float] | None = (0.0, 100.0)
    label_cells = 0
    redraws = 0

    def view_changed(self, *, redraw: bool, keys: bool) -> None:
        self.redraws += redraw


def test_a_view_zooms_around_a_point_and_stays_inside_the_data() -> None:
    view, viewer = ChartView(), Viewer()
    view.charts.append(viewer)
    view.zoom(0.5, 20.0)
    assert view.part == (10.0, 60.0)
    view.pan(-1.0)
    assert view.part == (0.0, 50.0)
    view.pan(9.0)
    assert view.part == (50.0, 100.0)
    for _ in range(100):
        view.zoom(0.5, 75.0)
    low, high = view.part
    assert low < 75 < high and high - low >= 0.1
    redraws = viewer.redraws
    view.zoom(1000.0, 75.0)
    assert viewer.redraws == redraws + 1
    everything: object = view.part
    assert everything is None
    viewer.label_cells = 7
    view.fit_margin()
    assert view.margin == 7
    viewer.label_cells = 2
    view.fit_margin()
    assert view.margin == MARGIN


def test_the_table_has_a_row_for_each_x_and_a_column_for_a_band() -> None:
    table = ValueTable.of([TRAIN, VAL], None)
    rows = table.rows(0, 9, "step", str, str)
    assert [text.strip() for text, _ in rows[0]] == ["step", "train", "from – to", "val"]
    assert [text.strip() for text, _ in rows[1]] == ["1", "4.0", "3.5 – 4.5", ""]
    assert [text.strip() for text, _ in rows[2]] == ["2", "3.0", "3.5 – 4.5", "3.5"]
    assert table.nearest(2.9) == 2 and table.nearest(None) == 3
    assert ValueTable.of([TRAIN, VAL], (1.5, 3.5)).xs == [2, 3]
    colours = chart_colours(dark=True, background="#121212")
    strips = table.paint(3, 2.0, "step", str, str, colours, Style())
    assert [strip.text.split()[0] for strip in strips] == ["step", "2", "3"]


def test_a_heading_keeps_the_values_where_little_fits() -> None:
    entries = [
        LineValue("braille", "#ffffff", "train", "0.25"),
        LineValue("*", "#ffffff", "val", "0.5"),
    ]

    def heading(width: int, at: str = "step 7") -> str:
        notes = ["▲ up to 9"]
        segments = fit_heading("loss", "log", at, entries, notes, width, Style())
        return "".join(segment.text for segment in segments)

    assert heading(80) == "loss  log  step 7  ── train 0.25  ** val 0.5  ▲ up to 9"
    assert heading(48) == "loss  log  step 7  ── train 0.25  ** val 0.5"
    assert heading(40) == "loss  step 7  ── train 0.25  ** val 0.5"
    assert heading(30) == "loss  step 7  ── 0.25  ** 0.5"
    assert heading(25) == "step 7  ── 0.25  ** 0.5"
    assert heading(30, at="") == "loss  ── train  ** val"

"""Charts: round ticks, no spike lost, nothing drawn of what is no number."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.report.page import templates
from fmnist_tui.report.svg_chart import (
    ChartCurve,
    ChartMark,
    PlotArea,
    Points,
    curve_chart,
    reduce_points,
    ticks,
)


def chart(points: Points, marks: tuple[ChartMark, ...] = ()) -> str | None:
    made = curve_chart(
        "loss",
        [ChartCurve("training", "train", points)],
        description="loss falls",
        y_label="loss",
        format_y=str,
        marks=marks,
    )
    if made is None:
        return None
    macros = templates().get_template("charts.html.jinja").make_module()
    return str(macros.draw_curves(made))  # type: ignore[attr-defined]


def places(drawn: str) -> list[tuple[float, float]]:
    found = re.search(r'points="([^"]*)"', drawn)
    assert found
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found[1].split())]


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6), st.integers(3, 8))
def test_ticks_are_few_and_lie_between_the_ends(low: float, span: float, count: int) -> None:
    high = low + span
    if high - low < abs(low) * 1e-9:
        return
    found = ticks(low, high, count)
    slack = (high - low) * 1e-6 + 1e-9
    assert all(low - slack <= value <= high + slack for value in found)
    assert len(found) <= 2 * count + 1


def test_ticks_are_round() -> None:
    assert ticks(0.0, 0.97, 5) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert ticks(0.3, 2.1, 5) == [0.5, 1.0, 1.5, 2.0]


def test_a_long_curve_is_reduced_without_losing_a_spike_or_an_end() -> None:
    points = [(float(step), math.sin(step / 900)) for step in range(50_000)]
    points[31_415] = (31_415.0, 9.0)
    points[27_182] = (27_182.0, -9.0)
    kept = reduce_points(points)
    assert len(kept) <= 650
    assert {points[0], points[-1], points[31_415], points[27_182]} <= set(kept)
    assert kept == sorted(kept)


def test_what_is_no_number_is_left_out() -> None:
    assert reduce_points([(0.0, 1.0), (1.0, math.nan), (2.0, math.inf), (3.0, 2.0)]) == [
        (0.0, 1.0),
        (3.0, 2.0),
    ]
    assert chart([(0.0, math.nan)]) is None
    assert chart([]) is None


@pytest.mark.parametrize(
    "points", [[(1.0, 0.5)], [(1.0, 0.5), (2.0, 0.5)], [(1.0, 0.0), (2.0, 0.0)]]
)
def test_a_single_point_and_a_level_curve_have_a_chart(points: Points) -> None:
    drawn = chart(points)
    assert drawn is not None
    assert "nan" not in drawn
    assert drawn.count("<circle") == len(points)
    assert all(0 <= x <= PlotArea.WIDTH and 0 <= y <= PlotArea.WIDTH for x, y in places(drawn))


def test_the_first_steps_do_not_flatten_what_comes_after() -> None:
    points = [(step / 100, 50.0 if step < 3 else 1.0 - step / 200) for step in range(100)]
    drawn = chart(points)
    assert drawn is not None
    heights = [y for _, y in places(drawn)[10:]]
    assert max(heights) - min(heights) > 100
    assert 'clip-path="url(#frame-loss)"' in drawn


def test_marks_outside_the_frame_are_left_out() -> None:
    marks = (ChartMark(1.0, "best: 1", "best"), ChartMark(9.0, "rate 0.1", "lr"))
    drawn = chart([(0.0, 1.0), (2.0, 0.5)], marks)
    assert drawn is not None
    assert "best: 1" in drawn
    assert "rate 0.1" not in drawn

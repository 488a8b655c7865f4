"""Charts: no spike lost, only finite values drawn."""

from __future__ import annotations

import math
import re

import pytest

from fmnist_tui.report.page import templates
from fmnist_tui.report.svg_chart import (
    ChartCurve,
    ChartMark,
    PlotArea,
    Points,
    curve_chart,
    reduce_points,
)


def chart(points: Points, marks: tuple[ChartMark, ...] = ()) -> str | None:
    plotted = curve_chart(
        "loss",
        [ChartCurve("training", "train", points)],
        description="loss falls",
        y_label="loss",
        format_y=str,
        marks=marks,
    )
    if plotted is None:
        return None
    macros = templates().get_template("charts.html.jinja").make_module()
    return str(macros.draw_curves(plotted))  # type: ignore[attr-defined]


def coordinates(svg: str) -> list[tuple[float, float]]:
    match = re.search(r'points="([^"]*)"', svg)
    assert match
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in match[1].split())]


def test_a_long_curve_is_reduced_without_losing_spikes_or_ends() -> None:
    points = [(float(step), math.sin(step / 900)) for step in range(50_000)]
    points[31_415] = (31_415.0, 9.0)
    points[27_182] = (27_182.0, -9.0)
    reduced = reduce_points(points)
    assert len(reduced) <= 650
    assert {points[0], points[-1], points[31_415], points[27_182]} <= set(reduced)
    assert reduced == sorted(reduced)


def test_values_that_are_not_finite_are_left_out() -> None:
    assert reduce_points([(0.0, 1.0), (1.0, math.nan), (2.0, math.inf), (3.0, 2.0)]) == [
        (0.0, 1.0),
        (3.0, 2.0),
    ]
    assert chart([(0.0, math.nan)]) is None
    assert chart([]) is None


@pytest.mark.parametrize(
    "points", [[(1.0, 0.5)], [(1.0, 0.5), (2.0, 0.5)], [(1.0, 0.0), (2.0, 0.0)]]
)
def test_a_single_point_and_a_constant_curve_have_a_chart(points: Points) -> None:
    svg = chart(points)
    assert svg is not None
    assert "nan" not in svg
    assert svg.count("<circle") == len(points)
    assert all(0 <= x <= PlotArea.WIDTH and 0 <= y <= PlotArea.WIDTH for x, y in coordinates(svg))


def test_the_first_steps_do_not_flatten_the_rest() -> None:
    points = [(step / 100, 50.0 if step < 3 else 1.0 - step / 200) for step in range(100)]
    svg = chart(points)
    assert svg is not None
    heights = [y for _, y in coordinates(svg)[10:]]
    assert max(heights) - min(heights) > 100
    assert 'clip-path="url(#frame-loss)"' in svg


def test_marks_outside_the_frame_are_left_out() -> None:
    marks = (ChartMark(1.0, "best: 1", "best"), ChartMark(9.0, "rate 0.1", "lr"))
    svg = chart([(0.0, 1.0), (2.0, 0.5)], marks)
    assert svg is not None
    assert "best: 1" in svg
    assert "rate 0.1" not in svg

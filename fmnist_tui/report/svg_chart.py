"""Charts as pixel coordinates, which `templates/charts.html.jinja` writes as SVG.

A chart is laid out for a width of `PlotArea.WIDTH` pixels, and the browser scales it, down to the
width of a phone. Curves differ by dashes as well as by colour; the page's style has the colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar

from fmnist_tui.render.axis import round_ticks

_LETTER_WIDTH = 6.2
# Longer curves are reduced to about this many columns.
_COLUMNS = 150
# Curves with more points have no dots.
_MAX_DOTS = 12
# The y range ignores this first share of a training: its large values would flatten the rest.
_WARM_UP = 0.05

Point = tuple[float, float]
Points = Sequence[Point]
Tick = tuple[float, str]


@dataclass(frozen=True, slots=True)
class PlotArea:
    """A range of values mapped to the frame of the chart, whose edges are in pixels."""

    WIDTH: ClassVar[int] = 360
    HEIGHT: ClassVar[int] = 232
    LEFT: ClassVar[int] = 46
    RIGHT: ClassVar[int] = WIDTH - 10
    TOP: ClassVar[int] = 34
    BOTTOM: ClassVar[int] = HEIGHT - 34

    min_x: float
    max_x: float
    min_y: float
    max_y: float

    def x(self, value: float) -> float:
        share = (value - self.min_x) / (self.max_x - self.min_x)
        return self.LEFT + share * (self.RIGHT - self.LEFT)

    def y(self, value: float) -> float:
        share = (value - self.min_y) / (self.max_y - self.min_y)
        return self.BOTTOM - share * (self.BOTTOM - self.TOP)


@dataclass(frozen=True, slots=True)
class ChartAxes:
    """The axes of an area: their labels, and ticks as (pixel, text)."""

    area: PlotArea
    x_label: str
    y_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]

    @classmethod
    def build(
        cls, area: PlotArea, x_label: str, y_label: str, format_y: Callable[[float], str]
    ) -> ChartAxes:
        xs = round_ticks(area.min_x, area.max_x, 6)
        ys = round_ticks(area.min_y, area.max_y, 5)
        x_ticks = [(area.x(x), f"{x:g}") for x in xs]
        y_ticks = [(area.y(y), format_y(y)) for y in ys]
        return cls(area, x_label, y_label, x_ticks, y_ticks)


@dataclass(frozen=True, slots=True)
class ChartCurve:
    """`kind` is the curve's CSS class: train, val or rate."""

    label: str
    kind: str
    points: Points


@dataclass(frozen=True, slots=True)
class ChartMark:
    """A vertical line at `x`; `kind` is best, lr or resumed."""

    x: float
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class PlacedLabel:
    """A curve's name in the legend, or a mark, at a pixel; `label_x` is the label's own."""

    kind: str
    label: str
    x: float
    label_x: float = 0.0


@dataclass(frozen=True, slots=True)
class PlottedCurve:
    """A curve in pixels: the points of a `polyline`, and dots if there are few points."""

    kind: str
    path: str
    dots: Points


@dataclass(frozen=True, slots=True)
class CurveChart:
    """Curves over common axes; `description` is for screen readers."""

    name: str
    description: str
    axes: ChartAxes
    curves: list[PlottedCurve]
    legend: list[PlacedLabel]
    marks: list[PlacedLabel]


def curve_chart(
    name: str,
    curves: Sequence[ChartCurve],
    *,
    description: str,
    y_label: str,
    format_y: Callable[[float], str],
    marks: Sequence[ChartMark] = (),
    y_limit: float = math.inf,
    from_zero: bool = False,
) -> CurveChart | None:
    """The curves by epoch, or None if no point is finite. The y axis ends at `y_limit`."""
    finite = [ChartCurve(curve.label, curve.kind, reduce_points(curve.points)) for curve in curves]
    finite = [curve for curve in finite if curve.points]
    if not finite:
        return None
    area = _plot_area([point for curve in finite for point in curve.points], y_limit, from_zero)
    return CurveChart(
        name,
        description,
        ChartAxes.build(area, "epoch", y_label, format_y),
        [_plot(area, curve) for curve in finite],
        _legend(finite),
        _place_marks(area, marks),
    )


def reduce_points(points: Points) -> list[Point]:
    """The finite points; of long curves the first, lowest, highest and last of each column."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(finite) <= 4 * _COLUMNS:
        return finite
    low, high = finite[0][0], finite[-1][0]
    width = (high - low) / _COLUMNS or 1.0
    columns: dict[int, list[Point]] = {}
    for point in finite:
        columns.setdefault(int((point[0] - low) / width), []).append(point)
    reduced: list[Point] = []
    for column in columns.values():
        extremes = (min(column, key=itemgetter(1)), max(column, key=itemgetter(1)))
        reduced += sorted({column[0], column[-1], *extremes})
    return reduced


def _plot_area(points: Points, y_limit: float, from_zero: bool) -> PlotArea:
    min_x, max_x = min(x for x, _ in points), max(x for x, _ in points)
    if max_x <= min_x:
        min_x, max_x = min_x - 0.5, max_x + 0.5
    start = min_x + _WARM_UP * (max_x - min_x)
    heights = [y for x, y in points if x >= start]
    low, high = min(heights), max(heights)
    if from_zero:
        low = min(0.0, low)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    bottom = max(0.0, low - margin) if low >= 0 else low - margin
    return PlotArea(min_x, max_x, bottom, max(bottom + margin, min(high + margin, y_limit)))


def _plot(area: PlotArea, curve: ChartCurve) -> PlottedCurve:
    pixels = [(area.x(x), area.y(y)) for x, y in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
    return PlottedCurve(curve.kind, path, pixels if len(pixels) <= _MAX_DOTS else [])


def _legend(curves: Sequence[ChartCurve]) -> list[PlacedLabel]:
    """Laid out from the right edge."""
    labels, right = [], float(PlotArea.RIGHT)
    for curve in reversed(curves):
        right -= _LETTER_WIDTH * len(curve.label)
        labels.append(PlacedLabel(curve.kind, curve.label, right))
        right -= 36
    return labels


def _place_marks(area: PlotArea, marks: Sequence[ChartMark]) -> list[PlacedLabel]:
    """The marks inside the area; a label that would cover another is left out."""
    placed: list[PlacedLabel] = []
    occupied: list[tuple[float, float]] = []
    for mark in marks:
        if not area.min_x <= mark.x <= area.max_x:
            continue
        x = area.x(mark.x)
        half = _LETTER_WIDTH * len(mark.label) / 2
        middle = min(max(x, area.LEFT + half), area.WIDTH - half)
        is_free = all(middle + half < left or middle - half > right for left, right in occupied)
        if mark.label and is_free:
            occupied.append((middle - half, middle + half))
        placed.append(PlacedLabel(mark.kind, mark.label if is_free else "", x, middle))
    return placed

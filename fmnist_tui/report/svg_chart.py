"""Charts as inline SVG: readable as wide as a phone, in the colours of the page.

A chart is drawn for a width of `WIDTH` pixels and scaled from there. Lines are told apart
by dashes as well as by colours; colours come from the page's style, by class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fmnist_tui.report.html import Html, join, tag

WIDTH, HEIGHT = 360, 232
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 34, 34
# How wide a letter is, about
_LETTER = 6.2
_COLUMNS = 150
# Beyond so many points a curve has no dots of its own.
_DOTS = 12
# The frame is chosen without this first part of a training, whose figures would make all
# that comes after it look flat.
_LEARNING = 0.05

Point = tuple[float, float]
Points = Sequence[Point]


@dataclass(frozen=True, slots=True)
class ChartCurve:
    """A line of a chart; `kind` is its class in the style: train, val or rate."""

    label: str
    kind: str
    points: Points


@dataclass(frozen=True, slots=True)
class ChartMark:
    """An upright line at an x: `kind` is best, lr or resumed."""

    x: float
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class PlotArea:
    """The part of the plane that a chart shows, and where it lies in the drawing."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def x(self, value: float) -> float:
        share = (value - self.low_x) / (self.high_x - self.low_x)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low_y) / (self.high_y - self.low_y)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def line_chart(
    name: str,
    curves: Sequence[ChartCurve],
    *,
    about: str,
    xlabel: str,
    ylabel: str,
    told: Callable[[float], str],
    marks: Sequence[ChartMark] = (),
    ceiling: float = math.inf,
    from_zero: bool = False,
) -> Html | None:
    """The curves in one frame; None where there is no point to draw. `about` says in words
    what they show, `told` writes a value of the upright axis, which ends at `ceiling`."""
    drawn = [ChartCurve(curve.label, curve.kind, finite(curve.points)) for curve in curves]
    drawn = [curve for curve in drawn if curve.points]
    if not drawn:
        return None
    frame = _frame([point for curve in drawn for point in curve.points], ceiling, from_zero)
    clip = f"frame-{name}"
    parts = [
        tag(
            "clipPath",
            tag(
                "rect",
                x=_LEFT,
                y=_TOP - 4,
                width=WIDTH - _LEFT - _RIGHT + 4,
                height=HEIGHT - _TOP - _BOTTOM + 8,
            ),
            id=clip,
        ),
        axes(frame, xlabel, ylabel, told),
        _legend(drawn),
        *_marked(frame, marks),
        tag("g", *(_line(frame, curve) for curve in drawn), clip_path=f"url(#{clip})"),
    ]
    return drawing(about, *parts)


def drawing(about: str, *parts: Html, height: int = HEIGHT) -> Html:
    """An SVG that screen readers read as `about`."""
    return tag(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=about, class_="chart"
    )


def axes(frame: PlotArea, xlabel: str, ylabel: str, told: Callable[[float], str]) -> Html:
    """Grid, ticks with their values, and what the axes are."""
    parts = []
    for value in ticks(frame.low_y, frame.high_y, 5):
        y = frame.y(value)
        parts.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", told(value), x=_LEFT - 6, y=y + 3.5, class_="end"))
    for value in ticks(frame.low_x, frame.high_x, 6):
        x = frame.x(value)
        parts.append(tag("line", x1=x, x2=x, y1=HEIGHT - _BOTTOM, y2=HEIGHT - _BOTTOM + 4))
        parts.append(tag("text", f"{value:g}", x=x, y=HEIGHT - _BOTTOM + 16, class_="mid"))
    low = HEIGHT - _BOTTOM
    parts.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=low, y2=low))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(tag("text", xlabel, x=middle, y=HEIGHT - 4, class_="mid axis"))
    parts.append(tag("text", ylabel, x=4, y=14, class_="axis"))
    return tag("g", *parts, class_="axes")


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round values from `low` to `high`, about `count` of them."""
    span = high - low
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Rounded to the step's own digits: 0.30000000000000004 is no tick.
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(number * step, digits) + 0.0 for number in range(first, last + 1)]


def finite(points: Points) -> list[Point]:
    """The points that are numbers, reduced to what a chart can show: of each column the
    first, lowest, highest and last."""
    kept = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(kept) <= 4 * _COLUMNS:
        return kept
    low, high = kept[0][0], kept[-1][0]
    width = (high - low) / _COLUMNS or 1.0
    columns: dict[int, list[Point]] = {}
    for point in kept:
        columns.setdefault(int((point[0] - low) / width), []).append(point)
    found: list[Point] = []
    for column in columns.values():
        ends = {column[0], column[-1], min(column, key=_height), max(column, key=_height)}
        found += sorted(ends)
    return found


def _height(point: Point) -> float:
    return point[1]


def _frame(points: Points, ceiling: float, from_zero: bool) -> PlotArea:
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    if high_x <= low_x:
        low_x, high_x = low_x - 0.5, high_x + 0.5
    begins = low_x + _LEARNING * (high_x - low_x)
    heights = [y for x, y in points if x >= begins]
    low, high = min(heights), max(heights)
    if from_zero:
        low = min(0.0, low)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    bottom = max(0.0, low - margin) if low >= 0 else low - margin
    return PlotArea(low_x, high_x, bottom, max(bottom + margin, min(high + margin, ceiling)))


def _line(frame: PlotArea, curve: ChartCurve) -> Html:
    places = [(frame.x(x), frame.y(y)) for x, y in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    line = tag("polyline", points=path, class_=f"line {curve.kind}")
    if len(places) > _DOTS:
        return line
    # So few points are told one by one; a single one would not be seen at all.
    dots = (tag("circle", cx=x, cy=y, r=2.5, class_=f"dot {curve.kind}") for x, y in places)
    return join(line, *dots)


def _legend(curves: Sequence[ChartCurve]) -> Html:
    parts, right = [], float(WIDTH - _RIGHT)
    for curve in reversed(curves):
        right -= _LETTER * len(curve.label)
        parts.append(tag("text", curve.label, x=right, y=14))
        parts.append(tag("line", x1=right - 26, x2=right - 5, y1=10, y2=10, class_=curve.kind))
        right -= 36
    return tag("g", *parts, class_="legend")


def _marked(frame: PlotArea, marks: Sequence[ChartMark]) -> Iterator[Html]:
    """The marks within the frame; labels above it, those left out that would lie on another."""
    taken: list[tuple[float, float]] = []
    for mark in marks:
        if not frame.low_x <= mark.x <= frame.high_x:
            continue
        x = frame.x(mark.x)
        yield tag("line", x1=x, x2=x, y1=_TOP, y2=HEIGHT - _BOTTOM, class_=f"mark {mark.kind}")
        half = _LETTER * len(mark.label) / 2
        middle = min(max(x, _LEFT + half), WIDTH - half)
        free = all(middle + half < left or middle - half > right for left, right in taken)
        if mark.label and free:
            taken.append((middle - half, middle + half))
            yield tag("text", mark.label, x=middle, y=_TOP - 3, class_="mark mid")

"""Line charts for terminals: axes drawn by plotext, curves on a canvas of dots.

plotext has one figure per process, which is guarded by a lock here. A `Chart` holds rows of
coloured runs and the position of the plot in them, so that a screen can draw marks and a
cursor over it; `printed_chart` gives the same as text for a console.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from fmnist_tui.render.axis import (
    LOG_FACTOR,
    NUMBERS,
    Axis,
    create_x_axis,
    create_y_axis,
    format_axis_number,
    shown_range,
)
from fmnist_tui.render.canvas import Canvas
from fmnist_tui.util.text import STYLE_CODE

# Distinguish lines without colour.
SYMBOLS = "*+xo#@"
BRAILLE = "braille"
# The colours of lines, with their ANSI codes
COLOURS = {"cyan": "36", "orange": "33", "green": "32", "magenta": "35", "blue": "34", "red": "31"}
# What is drawn in the quiet form of a colour begins with this: a band.
DIM = "dim "
GUIDE = "guide"
MAX_DOTTED_POINTS = 12
# The fewest cells of the labels beside the y axis
MARGIN = 4
_MIN_SIZE = (20, 4)
# Guides are so far apart, or farther.
_GUIDE_CELLS = 6
_FIGURE = threading.Lock()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart, with an optional band around it from `low` to `high` at each x."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str = "cyan"
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart: rows of (text, name of a colour or empty).

    The plot is in the columns `left` to `right` and the rows `top` to `bottom`, both
    inclusive. `symbols` are the symbols of the lines. `above` and `below` are the farthest
    values outside the y axis, if there are any: marks at the edge stand for them.
    """

    rows: tuple[tuple[tuple[str, str], ...], ...]
    left: int
    right: int
    top: int
    bottom: int
    x_axis: Axis
    y_axis: Axis
    symbols: tuple[str, ...]
    above: float | None = None
    below: float | None = None

    @property
    def low(self) -> float:
        """The x of the first column."""
        return self.x_axis.low

    @property
    def high(self) -> float:
        """The x of the last column."""
        return self.x_axis.high

    def column(self, x: float) -> int:
        """The column of an x, clipped to the plot."""
        share = min(1.0, max(0.0, self.x_axis.share(x)))
        return self.left + round(share * (self.right - self.left))

    def x_at(self, column: int) -> float:
        """The x of a column."""
        width = max(1, self.right - self.left)
        return self.low + (self.high - self.low) * (column - self.left) / width


def has_space(width: int, height: int) -> bool:
    """Whether a chart of this size can be drawn."""
    return width >= _MIN_SIZE[0] and height >= _MIN_SIZE[1]


def draw_chart(
    lines: Sequence[Line],
    width: int,
    height: int,
    *,
    xlabel: str = "",
    log: bool = False,
    colour: bool = True,
    ascii_only: bool = False,
    percent: bool = False,
    square: bool = False,
    numbers: str = NUMBERS,
    span: tuple[float, float] | None = None,
    part: tuple[float, float] | None = None,
    guides: Sequence[float] = (),
    margin: int = MARGIN,
) -> Chart | None:
    """Draw lines on `width` by `height` cells; None if no point can be drawn.

    `percent` labels fractions in per cent, `square` makes both axes go from 0 to 1, and
    `numbers` says what the xs are. `span` is the least range of the x axis, `part` the range to
    show instead of all; at the `guides` there are quiet vertical lines. The labels of the y axis
    have `margin` cells, or more if they need them.
    """
    lines = drop_unplottable(lines, log)
    if not lines or not has_space(width, height):
        return None
    rows = height - 2 - bool(xlabel)
    low, high = part or x_range(lines, span)
    if square:
        low, high = 0.0, 1.0
    bottom, top = (0.0, 1.0) if square else _y_range(lines, low, high, log)
    y_axis = create_y_axis(bottom, top, rows, log=log, percent=percent)
    margin = max(margin, *(len(label) for _, label in y_axis.ticks))
    columns = width - margin - 1
    x_axis = create_x_axis(low, high, columns, numbers)
    marked = ascii_only or not colour
    symbols = tuple(
        SYMBOLS[number % len(SYMBOLS)] if marked else BRAILLE for number in range(len(lines))
    )
    painter = _Painter(Canvas(columns, rows), x_axis, y_axis)
    for line in lines:
        painter.draw_band(line, marked)
    for line, symbol in zip(lines, symbols, strict=True):
        painter.draw_line(line, symbol)
    painter.draw_guides(guides)
    # plotext gets shares instead of values: it need not know of log scales.
    xs = tuple((x_axis.share(value), label) for value, label in x_axis.ticks)
    ys = tuple((y_axis.share(value), label.rjust(margin)) for value, label in y_axis.ticks)
    frame = _draw_frame(width, height, xlabel, xs, ys)
    return Chart(
        _insert_plot(frame, painter.canvas, margin + 1),
        margin + 1,
        width - 1,
        0,
        rows - 1,
        x_axis,
        y_axis,
        symbols,
        painter.above,
        painter.below,
    )


class _Painter:
    """Draws lines by their values, and remembers the farthest values outside the y axis."""

    def __init__(self, canvas: Canvas, x_axis: Axis, y_axis: Axis) -> None:
        self.canvas = canvas
        self.above: float | None = None
        self.below: float | None = None
        self._x_axis, self._y_axis = x_axis, y_axis

    def draw_band(self, line: Line, marked: bool) -> None:
        if not line.low:
            return
        colour = DIM + line.colour
        low = self._points(line.xs, line.low, colour)
        high = low if line.high is line.low else self._points(line.xs, line.high, colour)
        draw = self.canvas.mark_band if marked else self.canvas.draw_band
        draw(low, high, colour)

    def draw_line(self, line: Line, symbol: str) -> None:
        points = self._points(line.xs, line.ys, line.colour)
        if symbol != BRAILLE:
            self.canvas.mark_line(points, symbol, line.colour)
            return
        self.canvas.draw_line(points, line.colour)
        if len(line.xs) <= MAX_DOTTED_POINTS:
            # Show few points one by one; a single point is not visible as a line.
            for x, y in points:
                self.canvas.put(round(x) // 2, round(y) // 4, "•", line.colour)

    def draw_guides(self, xs: Sequence[float]) -> None:
        last = self.canvas.columns - 1
        inside = [x for x in xs if self._x_axis.low < x < self._x_axis.high]
        every = math.ceil(_GUIDE_CELLS * len(inside) / self.canvas.columns)
        for x in inside[every - 1 :: every] if inside else ():
            column = round(self._x_axis.share(x) * last)
            if 0 < column < last:
                for row in range(self.canvas.rows):
                    self.canvas.put(column, row, "┊", GUIDE, over=False)

    def _points(
        self, xs: Sequence[float], ys: Sequence[float], colour: str
    ) -> list[tuple[float, float]]:
        """The points in dots; marks at the edge for values that are not on the y axis."""
        columns, rows = self.canvas.columns, self.canvas.rows
        x_share, y_share = self._x_axis.share, self._y_axis.share
        points = []
        for x, y in zip(xs, ys, strict=True):
            column, height = x_share(x), y_share(y)
            points.append((2 * (columns - 1) * column + 0.5, 4 * (rows - 1) * (1 - height) + 1.5))
            if 0 <= column <= 1 and not -0.01 <= height <= 1.01:
                cell = round(column * (columns - 1))
                if height > 1:
                    self.above = y if self.above is None else max(y, self.above)
                    self.canvas.put(cell, 0, "▲", colour)
                else:
                    self.below = y if self.below is None else min(y, self.below)
                    self.canvas.put(cell, rows - 1, "▼", colour)
        return points


def x_range(lines: Sequence[Line], span: tuple[float, float] | None = None) -> tuple[float, float]:
    """The range of the xs of all lines, and at least `span`."""
    xs = [*(span or ()), *(x for line in lines if line.xs for x in (min(line.xs), max(line.xs)))]
    return min(xs), max(xs)


def suggest_log(lines: Sequence[Line]) -> bool:
    """Whether a log scale suits these lines: they are positive and span more than a factor."""
    lines = drop_unplottable(lines, log=False)
    values = [y for line in lines for y in line.ys]
    if not values or min(values) <= 0:
        return False
    return max(values) > LOG_FACTOR * min(values)


def describe_outside(chart: Chart, percent: bool = False) -> str:
    """`▲ up to 9.1`: what the marks at the edge of a chart stand for; empty without any."""
    parts = []
    for mark, word, value in (("▲", "up", chart.above), ("▼", "down", chart.below)):
        if value is not None:
            number = f"{100 * value:.3g}%" if percent else format_axis_number(value)
            parts.append(f"{mark} {word} to {number}")
    return "  ".join(parts)


def drop_unplottable(lines: Sequence[Line], log: bool) -> list[Line]:
    """The lines reduced to finite (with `log`, positive) points; without lines that have none."""
    plottable = []
    for line in lines:
        kept = [
            index
            for index, (x, *ys) in enumerate(
                zip(line.xs, line.ys, line.low, line.high, strict=True)
                if line.low
                else zip(line.xs, line.ys, strict=True)
            )
            if math.isfinite(x) and all(math.isfinite(y) and (y > 0 or not log) for y in ys)
        ]
        if len(kept) == len(line.xs):
            plottable += [line] if kept else []
        elif kept:
            low = [line.low[index] for index in kept] if line.low else ()
            high = low
            if line.high is not line.low:
                high = [line.high[index] for index in kept]
            plottable.append(
                replace(
                    line,
                    xs=[line.xs[index] for index in kept],
                    ys=[line.ys[index] for index in kept],
                    low=low,
                    high=high,
                )
            )
    return plottable


def _y_range(lines: Sequence[Line], left: float, right: float, log: bool) -> tuple[float, float]:
    """The range that shows the lines and bands well, from one x to another."""
    shown: list[float] = []
    for line in lines:
        inside = [left <= x <= right for x in line.xs]
        for values in (line.ys, [*line.low, *line.high]):
            visible = [
                value
                for value, is_inside in zip(values, inside * 2, strict=False)
                if is_inside or not any(inside)
            ]
            if log:
                visible = [math.log10(value) for value in visible]
            if visible:
                shown += shown_range(visible)
    low, high = min(shown), max(shown)
    return (10**low, 10**high) if log else (low, high)


@lru_cache(maxsize=64)
def _draw_frame(
    width: int,
    height: int,
    xlabel: str,
    xs: tuple[tuple[float, str], ...],
    ys: tuple[tuple[float, str], ...],
) -> tuple[str, ...]:
    """The rows of an empty chart with a left and a lower axis."""
    import plotext

    with _FIGURE:
        plotext.terminal.limit(width=False, height=False)
        figure = plotext.figure
        figure.clear()
        figure.plot_size(width, height)
        figure.theme("colorless")
        for axis in (0, 1):
            figure.axes(False, axis=axis, side=1)
        if xlabel:
            figure.label(xlabel)
        for name, ticks in (("x", xs), ("y", ys)):
            ruler = figure.ruler(name)
            ruler.lim(0.0, 1.0)
            ruler.ticks([share for share, _ in ticks], [label for _, label in ticks])
        text: str = figure.build().string()
        figure.clear()
    return tuple(STYLE_CODE.sub("", text).rstrip("\n").split("\n"))


def _insert_plot(
    frame: Sequence[str], canvas: Canvas, left: int
) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(
        ((row[:left], ""), *canvas.row(index)) if index < canvas.rows else ((row, ""),)
        for index, row in enumerate(frame)
    )

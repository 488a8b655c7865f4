"""Line charts for terminals, drawn by plotext.

plotext has one figure per process, which is guarded by a lock here. A `Chart` holds rows of
coloured runs and the position of the plot in them, so that a screen can draw marks and a
cursor over it; `format_chart` gives the same as text for a console.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.util.text import STYLE_CODE

# Distinguish lines without colour.
SYMBOLS = "*+x."
_FIGURE = threading.Lock()
# plotext's names of colours, with their ANSI codes
COLOURS = {"cyan": "36", "orange": "33", "green": "32", "magenta": "35", "blue": "34", "red": "31"}
# plotext's numbers of the same colours: the last digit of their ANSI codes
_NAMES_BY_NUMBER = {code[-1]: name for name, code in COLOURS.items()}
_TICK_CELLS = 11
MAX_DOTTED_POINTS = 12
_MIN_SIZE = (20, 5)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str = "cyan"


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart: rows of (text, name of a colour or empty).

    The plot is in the columns `left` to `right` and the rows `top` to `bottom`, both
    inclusive; x goes from `low` to `high`. `symbols` are the symbols of the lines.
    """

    rows: tuple[tuple[tuple[str, str], ...], ...]
    left: int
    right: int
    top: int
    bottom: int
    low: float
    high: float
    symbols: tuple[str, ...]

    def column(self, x: float) -> int:
        """The column of an x, clipped to the plot."""
        span = self.high - self.low or 1.0
        share = min(1.0, max(0.0, (x - self.low) / span))
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
    powers: bool = False,
    span: tuple[float, float] | None = None,
) -> Chart | None:
    """Draw lines on `width` by `height` cells; None if no point can be drawn.

    `percent` labels fractions in per cent, `square` makes both axes go from 0 to 1, and with
    `powers` the xs are exponents of ten. `span` is the least range of the x axis.
    """
    lines = _drop_unplottable(lines, log)
    if not lines or not has_space(width, height):
        return None
    import plotext

    symbols = tuple(
        "braille" if colour and not ascii_only else SYMBOLS[number % 4]
        for number in range(len(lines))
    )
    low, high = _axis_limits([*(span or ()), *(x for line in lines for x in line.xs)], square)
    heights = [y for line in lines for y in line.ys]
    bottom, top = _axis_limits(heights, square)
    with _FIGURE:
        plotext.terminal.limit(width=False, height=False)
        figure = plotext.figure
        figure.clear()
        figure.plot_size(width, height)
        figure.theme("colorless")
        for line, symbol in zip(lines, symbols, strict=True):
            marker = plotext.marker(symbol, line.colour) if colour else plotext.marker(symbol)
            signal = figure.signal(list(line.xs), list(line.ys), marker=marker)
            signal.lines()
            figure.draw(signal)
            if len(line.xs) <= MAX_DOTTED_POINTS and symbol == "braille":
                # Show few points one by one; a single point is not visible as a line.
                dots = figure.signal(
                    list(line.xs), list(line.ys), marker=plotext.marker("•", line.colour)
                )
                figure.draw(dots)
        if xlabel:
            figure.label(xlabel)
        x_axis = figure.ruler("x")
        x_axis.lim(low, high)
        marks = tick_values(low, high, max(2, width // _TICK_CELLS))
        x_axis.ticks(
            marks, [format_power(mark) if powers else format_axis_number(mark) for mark in marks]
        )
        y_axis = figure.ruler("y")
        if log and min(heights) < max(heights):
            y_axis.scale("log")
        else:
            y_axis.lim(bottom, top)
            marks = tick_values(bottom, top, max(2, height // 3))
            labels = [f"{mark:.4g}" for mark in marks]
            if percent:
                labels = [f"{100 * mark:.4g}%" for mark in marks]
            y_axis.ticks(marks, labels)
        text: str = figure.build().string()
        figure.clear()
    return _parse_chart(text, low, high, symbols)


def format_chart(
    title: str,
    lines: Sequence[Line],
    width: int,
    height: int,
    *,
    xlabel: str = "",
    log: bool = False,
    colour: bool = True,
    ascii_only: bool = False,
    powers: bool = False,
) -> str:
    """The chart under a line with title and legend; empty if no point can be drawn."""
    chart = draw_chart(
        lines,
        width,
        height - 1,
        xlabel=xlabel,
        log=log,
        colour=colour,
        ascii_only=ascii_only,
        powers=powers,
    )
    if chart is None:
        return ""
    head = _format_head(title, _drop_unplottable(lines, log), chart.symbols, colour)
    return "\n".join([head, *_to_ansi(chart, colour)]).rstrip()


def downsample(points: Sequence[tuple[float, float]], columns: int) -> list[tuple[float, float]]:
    """The points of a curve that a chart `columns` dots wide can show.

    Of the points of every dot the first, lowest, highest and last are kept, so that no spike
    is lost.
    """
    if len(points) <= 4 * columns:
        return list(points)
    sample: list[tuple[float, float]] = []
    size = len(points) / columns
    for number in range(columns):
        bucket = points[int(number * size) : int((number + 1) * size)]
        if bucket:
            indices = {
                0,
                len(bucket) - 1,
                min(range(len(bucket)), key=lambda index: bucket[index][1]),
                max(range(len(bucket)), key=lambda index: bucket[index][1]),
            }
            sample += [bucket[index] for index in sorted(indices)]
    return sample


def tick_values(
    low: float, high: float, most: int, steps: Sequence[float] = (1, 2, 5, 10)
) -> list[float]:
    """Round numbers from `low` to `high`, about `most` of them, a power of ten times one of
    `steps` apart."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, most)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * part for part in steps if magnitude * part >= 0.999 * rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Rounded to remove binary fractions.
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)] or [low, high]


def format_power(exponent: float) -> str:
    """A power of ten in short form: 1e-6, 0.003, 3.2."""
    return f"{10**exponent:.2g}".replace("e-0", "e-")


def format_axis_number(number: float) -> str:
    """A number for an axis: 15000 is 15k."""
    for limit, scale, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(number) >= limit:
            return f"{number / scale:.4g}{unit}"
    return f"{number:.4g}"


def _axis_limits(values: Sequence[float], square: bool) -> tuple[float, float]:
    if square:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) / 10 or 0.5
        return low - margin, high + margin
    return low, high


def _parse_chart(text: str, low: float, high: float, symbols: tuple[str, ...]) -> Chart:
    rows = [_parse_line(line) for line in text.rstrip("\n").split("\n")]
    plain = ["".join(part for part, _ in row) for row in rows]
    top = next((index for index, line in enumerate(plain) if "┌" in line), 0)
    bottom = next((index for index, line in enumerate(plain) if "└" in line), len(plain) - 1)
    left = plain[top].find("┌") + 1
    right = plain[top].rfind("┐") - 1
    return Chart(
        tuple(tuple(row) for row in rows), left, right, top + 1, bottom - 1, low, high, symbols
    )


def _parse_line(line: str) -> list[tuple[str, str]]:
    """A line with ANSI colours as runs of (text, name of a colour)."""
    runs: list[tuple[str, str]] = []
    colour = ""
    parts = STYLE_CODE.split(line)
    for index, part in enumerate(parts):
        if index % 2:
            colour = _NAMES_BY_NUMBER.get(part.rpartition(";")[2], "") if ";" in part else ""
        elif part:
            runs.append((part, colour))
    return runs


def _to_ansi(chart: Chart, colour: bool) -> list[str]:
    return [
        "".join(
            f"\x1b[{COLOURS[name]}m{text}\x1b[0m" if name and colour else text for text, name in row
        )
        for row in chart.rows
    ]


def _format_head(title: str, lines: Sequence[Line], symbols: Sequence[str], colour: bool) -> str:
    """Title and legend in one line; plotext's own legend would hide part of the lines."""
    parts = [title]
    for line, symbol in zip(lines, symbols, strict=True):
        sample = symbol * 2 if symbol != "braille" else "──"
        code = COLOURS[line.colour]
        parts.append(
            f"\x1b[{code}m{sample}\x1b[0m {line.label}" if colour else f"{sample} {line.label}"
        )
    return "   ".join(parts)


def _drop_unplottable(lines: Sequence[Line], log: bool) -> list[Line]:
    """The lines reduced to finite (with `log`, positive) points; without lines that have none."""
    plottable = []
    for line in lines:
        points = [
            (x, y)
            for x, y in zip(line.xs, line.ys, strict=True)
            if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)
        ]
        if points:
            xs, ys = zip(*points, strict=True)
            plottable.append(Line(line.label, xs, ys, line.colour))
    return plottable

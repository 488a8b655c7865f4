"""Line charts for terminals, drawn by plotext.

plotext keeps one figure for the process; this room owns it and guards it with a lock.
A chart comes back as text with ANSI colours, for a console or a widget to show.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

# what tells lines apart where colour cannot
SYMBOLS = "*+x."
_FIGURE = threading.Lock()
# plotext's names of the colours used here, with their ANSI codes
COLOURS = {"cyan": "36", "orange": "33", "green": "32", "magenta": "35", "blue": "34", "red": "31"}


@dataclass(frozen=True, slots=True)
class Line:
    """One named line of a chart."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str = "cyan"


def line_chart(
    title: str,
    lines: Sequence[Line],
    width: int,
    height: int,
    *,
    xlabel: str = "",
    log: bool = False,
    colour: bool = True,
    ascii_only: bool = False,
) -> str:
    """The lines in one frame under a legend; an empty string where no point can be drawn."""
    drawn = [_finite(line, log) for line in lines]
    drawn = [line for line in drawn if line.xs]
    if not drawn or width < 20 or height < 5:
        return ""
    import plotext

    symbols = [
        "braille" if colour and not ascii_only else SYMBOLS[number % 4]
        for number in range(len(drawn))
    ]
    with _FIGURE:
        plotext.terminal.limit(width=False, height=False)
        figure = plotext.figure
        figure.clear()
        figure.plot_size(width, height - 1)
        figure.theme("colorless")
        for line, symbol in zip(drawn, symbols, strict=True):
            marker = plotext.marker(symbol, line.colour) if colour else plotext.marker(symbol)
            signal = figure.signal(list(line.xs), list(line.ys), marker=marker)
            signal.lines()
            figure.draw(signal)
        if xlabel:
            figure.label(xlabel)
        heights = [y for line in drawn for y in line.ys]
        if log and min(heights) < max(heights):
            figure.ruler("y").scale("log")
        text: str = figure.build().string()
        figure.clear()
    head = _head(title, drawn, symbols, colour)
    return f"{head}\n{text if colour else plotext.uncolorize(text)}".rstrip()


def _head(title: str, lines: Sequence[Line], symbols: Sequence[str], colour: bool) -> str:
    """Title and legend in one line: plotext's own legend would hide a part of the lines."""
    parts = [title]
    for line, symbol in zip(lines, symbols, strict=True):
        sample = symbol * 2 if symbol != "braille" else "──"
        code = COLOURS[line.colour]
        parts.append(
            f"\x1b[{code}m{sample}\x1b[0m {line.label}" if colour else f"{sample} {line.label}"
        )
    return "   ".join(parts)


def _finite(line: Line, log: bool) -> Line:
    points = [
        (x, y)
        for x, y in zip(line.xs, line.ys, strict=True)
        if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)
    ]
    return Line(line.label, [x for x, _ in points], [y for _, y in points], line.colour)

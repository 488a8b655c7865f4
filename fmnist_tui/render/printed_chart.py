"""A line chart as text for a console, under a line with title and legend."""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_tui.render.axis import NUMBERS
from fmnist_tui.render.line_chart import (
    BRAILLE,
    COLOURS,
    DIM,
    GUIDE,
    Chart,
    Line,
    describe_outside,
    draw_chart,
    drop_unplottable,
)


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
    numbers: str = NUMBERS,
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
        numbers=numbers,
    )
    if chart is None:
        return ""
    if log:
        title += " (log)"
    head = _format_head(title, drop_unplottable(lines, log), chart, colour)
    return "\n".join([head, *_to_ansi(chart, colour)]).rstrip()


def _to_ansi(chart: Chart, colour: bool) -> list[str]:
    return [
        "".join(_colour_text(text, name) if name and colour else text for text, name in row)
        for row in chart.rows
    ]


def _colour_text(text: str, name: str) -> str:
    dim = "2;" if name.startswith(DIM) or name == GUIDE else ""
    return f"\x1b[{dim}{COLOURS.get(name.removeprefix(DIM), '37')}m{text}\x1b[0m"


def _format_head(title: str, lines: Sequence[Line], chart: Chart, colour: bool) -> str:
    """Title and legend in one line; plotext's own legend would hide part of the lines."""
    parts = [title]
    for line, symbol in zip(lines, chart.symbols, strict=True):
        sample = symbol * 2 if symbol != BRAILLE else "──"
        text = f"{sample} {line.label}"
        parts.append(_colour_text(sample, line.colour) + text[2:] if colour else text)
    if outside := describe_outside(chart):
        parts.append(outside)
    return "   ".join(parts)

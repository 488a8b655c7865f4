"""The values of a chart's lines as a table, a row for each x."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from fmnist_tui.render.line_chart import Line
from fmnist_tui.util.text import safe_text

_GAP = 2
_REVERSE = Style(reverse=True)


@dataclass(frozen=True, slots=True)
class ValueTable:
    """The values of lines at the xs of all their points. A line's band has a column of its own."""

    lines: Sequence[Line]
    xs: Sequence[float]

    @classmethod
    def of(cls, lines: Sequence[Line], part: tuple[float, float] | None) -> ValueTable:
        """The table of what is shown of these lines."""
        xs = sorted({x for line in lines for x in line.xs})
        if part is not None:
            xs = [x for x in xs if part[0] <= x <= part[1]]
        return cls(lines, xs)

    def nearest(self, x: float | None) -> int:
        """The number of the row nearest to an x; without an x the last row."""
        if x is None:
            return len(self.xs) - 1
        after = bisect_left(self.xs, x)
        near = [row for row in (after - 1, after) if 0 <= row < len(self.xs)]
        return min(near, key=lambda row: abs(self.xs[row] - x), default=-1)

    def paint(
        self,
        height: int,
        cursor: float | None,
        xlabel: str,
        format_x: Callable[[float], str],
        format_y: Callable[[float], str],
        colours: Mapping[str, str],
        base: Style,
    ) -> list[Strip]:
        """A heading and the rows around the cursor, whose row is reversed."""
        current = self.nearest(cursor)
        first = max(0, min(current - (height - 2) // 2, len(self.xs) - height + 1))
        strips = []
        for number, cells in enumerate(self.rows(first, height - 1, xlabel, format_x, format_y)):
            style = base + Style(bold=number == 0)
            if number and cursor is not None and first + number - 1 == current:
                strips.append(Strip([Segment(text, style + _REVERSE) for text, _ in cells]))
                continue
            strips.append(
                Strip(
                    [
                        Segment(text, style + Style(color=colours[name]) if name else style)
                        for text, name in cells
                    ]
                )
            )
        return strips

    def rows(
        self,
        first: int,
        count: int,
        xlabel: str,
        format_x: Callable[[float], str],
        format_y: Callable[[float], str],
    ) -> list[list[tuple[str, str]]]:
        """A heading and `count` rows from `first` on: cells as (text, colour of their line)."""
        heading = [(xlabel or "x", "")]
        for line in self.lines:
            heading.append((safe_text(line.label, 24), line.colour))
            if line.low:
                heading.append(("raw" if line.low is line.high else "from – to", line.colour))
        table = [heading]
        for x in self.xs[first : first + count]:
            row = [(format_x(x), "")]
            for line in self.lines:
                at = _index(line, x)
                row.append(("" if at is None else format_y(line.ys[at]), line.colour))
                if line.low:
                    row.append(("" if at is None else _band_text(line, at, format_y), ""))
            table.append(row)
        widths = [max(len(row[column][0]) for row in table) for column in range(len(heading))]
        return [
            [
                (text.rjust(width + _GAP), colour)
                for (text, colour), width in zip(row, widths, strict=True)
            ]
            for row in table
        ]


def _band_text(line: Line, at: int, format_y: Callable[[float], str]) -> str:
    low, high = format_y(line.low[at]), format_y(line.high[at])
    return low if line.low is line.high else f"{low} – {high}"


def _index(line: Line, x: float) -> int | None:
    """The number of the line's point at an x."""
    at = bisect_left(line.xs, x)
    return at if at < len(line.xs) and line.xs[at] == x else None


def value_at(line: Line, x: float) -> float | None:
    """The line's value at the point nearest to x; its xs are sorted."""
    if not line.xs:
        return None
    index = bisect_left(line.xs, x)
    near = [i for i in (index - 1, index) if 0 <= i < len(line.xs)]
    return line.ys[min(near, key=lambda i: abs(line.xs[i] - x))]

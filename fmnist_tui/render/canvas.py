"""Lines and bands drawn as braille dots or, without colour, as marks, one for each line.

A cell of the terminal holds 2 by 4 dots. Points are (column, row) of dots, from the top left,
as floats; what is outside the canvas is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

# A point, and the dots that something covers: the highest and lowest row, by column.
Point = tuple[float, float]
Spans = dict[int, tuple[int, int]]
# The braille bit of the dot in a row and column of its cell.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800
BAND_MARK = "."


class Canvas:
    """Cells of dots; each cell has the colour of what was drawn into it last.

    Lines are drawn over bands: a cell that a line crosses shows the line alone."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._lines = [bytearray(columns) for _ in range(rows)]
        self._bands = [bytearray(columns) for _ in range(rows)]
        # The text and colour of cells that hold a mark.
        self._marks: dict[tuple[int, int], tuple[str, str]] = {}
        self._line_colours: dict[tuple[int, int], str] = {}
        self._band_colours: dict[tuple[int, int], str] = {}

    def draw_line(self, points: Sequence[Point], colour: str) -> None:
        """Draw a line through the points."""
        spans = _trace(points, 2 * self.columns)
        self._set_dots(spans, self._lines, self._line_colours, colour)

    def draw_band(self, low: Sequence[Point], high: Sequence[Point], colour: str) -> None:
        """Fill what is between two lines."""
        spans = self._fill(low, high)
        self._set_dots(spans, self._bands, self._band_colours, colour)

    def mark_line(self, points: Sequence[Point], mark: str, colour: str) -> None:
        """Draw a line of marks, one for each cell."""
        for column, row in self._cells(_trace(points, 2 * self.columns)):
            self._marks[row, column] = mark, colour

    def mark_band(self, low: Sequence[Point], high: Sequence[Point], colour: str) -> None:
        """Fill what is between two lines with small marks."""
        for column, row in self._cells(self._fill(low, high)):
            self._marks.setdefault((row, column), (BAND_MARK, colour))

    def put(self, column: int, row: int, text: str, colour: str, *, over: bool = True) -> None:
        """Put a character into a cell; `over` what is there, or only into an empty cell."""
        if not (0 <= column < self.columns and 0 <= row < self.rows):
            return
        empty = not (self._lines[row][column] or self._bands[row][column])
        if over or (empty and (row, column) not in self._marks):
            self._marks[row, column] = text, colour

    def row(self, row: int) -> list[tuple[str, str]]:
        """A row of cells as runs of (text, colour); empty cells have no colour."""
        runs: list[tuple[str, str]] = []
        for column in range(self.columns):
            text, colour = self._cell(row, column)
            if runs and runs[-1][1] == colour:
                runs[-1] = runs[-1][0] + text, colour
            else:
                runs.append((text, colour))
        return runs

    def _cell(self, row: int, column: int) -> tuple[str, str]:
        if (mark := self._marks.get((row, column))) is not None:
            return mark
        if bits := self._lines[row][column]:
            return chr(_BRAILLE + bits), self._line_colours[row, column]
        if bits := self._bands[row][column]:
            return chr(_BRAILLE + bits), self._band_colours[row, column]
        return " ", ""

    def _fill(self, low: Sequence[Point], high: Sequence[Point]) -> Spans:
        lows = _trace(low, 2 * self.columns)
        highs = lows if high is low else _trace(high, 2 * self.columns)
        return {
            column: (min(span[0], highs[column][0]), max(span[1], highs[column][1]))
            for column, span in lows.items()
            if column in highs
        }

    def _set_dots(
        self, spans: Spans, dots: list[bytearray], colours: dict[tuple[int, int], str], colour: str
    ) -> None:
        last = 4 * self.rows - 1
        for column, (top, bottom) in spans.items():
            cell, half = column >> 1, column & 1
            for y in range(max(0, top), min(last, bottom) + 1):
                row = y >> 2
                dots[row][cell] |= _BITS[y & 3][half]
                colours[row, cell] = colour

    def _cells(self, spans: Spans) -> Iterable[tuple[int, int]]:
        """The cells (column, row) that hold any of these dots."""
        for column, (top, bottom) in spans.items():
            for row in range(max(0, top >> 2), min(self.rows - 1, bottom >> 2) + 1):
                yield column >> 1, row


def _trace(points: Sequence[Point], columns: int) -> Spans:
    """The dots of a line through the points, whose columns grow, without gaps."""
    spans: Spans = {}

    def add(column: int, top: int, bottom: int) -> None:
        if 0 <= column < columns:
            if top > bottom:
                top, bottom = bottom, top
            known = spans.get(column)
            if known is not None:
                top, bottom = min(top, known[0]), max(bottom, known[1])
            spans[column] = top, bottom

    if len(points) == 1:
        add(round(points[0][0]), round(points[0][1]), round(points[0][1]))
    for (x0, y0), (x1, y1) in pairwise(points):
        first, last = round(x0), round(x1)
        if first == last:
            add(first, round(y0), round(y1))
            continue
        slope = (y1 - y0) / (x1 - x0)
        start = round(y0)
        if first < 0:
            first, start = 0, round(y0 + slope * (-0.5 - x0))
        for column in range(first, min(last, columns) + 1):
            end = round(y1 if column == last else y0 + slope * (column + 0.5 - x0))
            # The next column goes on where this one ends.
            stop = end if column == last or end == start else end + (1 if end < start else -1)
            add(column, start, stop)
            start = end
    return spans

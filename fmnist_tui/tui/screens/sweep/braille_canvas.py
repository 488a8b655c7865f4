"""A canvas of braille dots, two columns and four rows in each cell, with symbols above them."""

from __future__ import annotations

from itertools import groupby

_BLANK = 0x2800
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class BrailleCanvas:
    """Coordinates are fractions of the canvas, 0 to 1, from the lower left corner. A cell has
    the colour of what was drawn in it last."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = max(1, width), max(1, height)
        self._dots = [[0] * self.width for _ in range(self.height)]
        self._symbols: dict[tuple[int, int], str] = {}
        self._colours = [[""] * self.width for _ in range(self.height)]

    def point(self, x: float, y: float, colour: str) -> None:
        """A point of two dots: a single one is hard to see."""
        column, row = self._position(x, y)
        self._set(column, row, colour)
        self._set(column, row - 1 if row else row + 1, colour)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        (x, y), (end_x, end_y) = self._position(*start), self._position(*end)
        steps = max(abs(end_x - x), abs(end_y - y), 1)
        for step in range(steps + 1):
            share = step / steps
            self._set(round(x + share * (end_x - x)), round(y + share * (end_y - y)), colour)

    def symbol(self, x: float, y: float, symbol: str, colour: str) -> None:
        """A character in place of a cell's dots."""
        column, row = self._position(x, y)
        self._symbols[row // 4, column // 2] = symbol
        self._colours[row // 4][column // 2] = colour

    def vertical_line(self, x: float, colour: str) -> None:
        """A thin line from bottom to top, behind everything drawn later."""
        column = self._position(x, 0)[0] // 2
        for row in range(self.height):
            self._symbols.setdefault((row, column), "│")
            self._colours[row][column] = colour

    def rows(self) -> list[list[tuple[str, str]]]:
        """The rows from the top, as spans of (text, colour)."""
        rows = []
        for row in range(self.height):
            cells = [
                (self._cell(row, column), self._colours[row][column])
                for column in range(self.width)
            ]
            rows.append(
                [
                    ("".join(text for text, _ in span), colour)
                    for colour, span in groupby(cells, key=lambda cell: cell[1])
                ]
            )
        return rows

    def _cell(self, row: int, column: int) -> str:
        dots, symbol = self._dots[row][column], self._symbols.get((row, column), " ")
        # Dots replace the vertical lines.
        return chr(_BLANK + dots) if dots and symbol in " │" else symbol

    def _position(self, x: float, y: float) -> tuple[int, int]:
        """The column and row of dots."""
        right, bottom = 2 * self.width - 1, 4 * self.height - 1
        x, y = min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
        return round(x * right), bottom - round(y * bottom)

    def _set(self, x: int, y: int, colour: str) -> None:
        if 0 <= x < 2 * self.width and 0 <= y < 4 * self.height:
            row, column = y // 4, x // 2
            self._dots[row][column] |= _BITS[y % 4][x % 2]
            self._colours[row][column] = colour

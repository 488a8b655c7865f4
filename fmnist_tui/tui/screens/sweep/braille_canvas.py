"""A small canvas of braille dots, two across and four down in each cell, with signs over them."""

from __future__ import annotations

from itertools import groupby

from fmnist_tui.render.braille import BLANK, DOT_BITS


class BrailleCanvas:
    """Cells of dots. Places are shares of the canvas, 0 to 1, from the lower left corner; a
    cell has the colour of what was drawn in it last."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = max(1, width), max(1, height)
        self._dots = [[0] * self.width for _ in range(self.height)]
        self._signs: dict[tuple[int, int], str] = {}
        self._colours = [[""] * self.width for _ in range(self.height)]

    def dot(self, x: float, y: float, colour: str) -> None:
        """A point, two dots high: one is hard to see."""
        across, down = self._place(x, y)
        self._set(across, down, colour)
        self._set(across, down - 1 if down else down + 1, colour)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        """A straight line between two places."""
        (x, y), (to_x, to_y) = self._place(*start), self._place(*end)
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for step in range(steps + 1):
            share = step / steps
            self._set(round(x + share * (to_x - x)), round(y + share * (to_y - y)), colour)

    def sign(self, x: float, y: float, sign: str, colour: str) -> None:
        """A sign in place of a cell's dots."""
        across, down = self._place(x, y)
        self._signs[down // 4, across // 2] = sign
        self._colours[down // 4][across // 2] = colour

    def upright(self, x: float, colour: str) -> None:
        """A thin line from bottom to top, behind whatever is drawn over it."""
        across = self._place(x, 0)[0] // 2
        for row in range(self.height):
            self._signs.setdefault((row, across), "│")
            self._colours[row][across] = colour

    def rows(self) -> list[list[tuple[str, str]]]:
        """The lines from the top, as runs of (text, colour)."""
        found = []
        for row in range(self.height):
            cells = [
                (self._cell(row, column), self._colours[row][column])
                for column in range(self.width)
            ]
            found.append(
                [
                    ("".join(text for text, _ in run), colour)
                    for colour, run in groupby(cells, key=lambda cell: cell[1])
                ]
            )
        return found

    def _cell(self, row: int, column: int) -> str:
        dots, sign = self._dots[row][column], self._signs.get((row, column), " ")
        # What is thin and behind gives way to dots.
        return chr(BLANK + dots) if dots and sign in " │" else sign

    def _place(self, x: float, y: float) -> tuple[int, int]:
        across, down = 2 * self.width - 1, 4 * self.height - 1
        x, y = min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
        return round(x * across), down - round(y * down)

    def _set(self, across: int, down: int, colour: str) -> None:
        if 0 <= across < 2 * self.width and 0 <= down < 4 * self.height:
            row, column = down // 4, across // 2
            self._dots[row][column] |= DOT_BITS[down % 4][across % 2]
            self._colours[row][column] = colour

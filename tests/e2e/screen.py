"""The screen of a terminal, read often while little of it changes."""

from __future__ import annotations

import pyte


class Screen(pyte.Screen):
    """A screen that renders only the lines that have changed since it was last read."""

    def __init__(self, columns: int, lines: int) -> None:
        self._lines: dict[int, str] = {}
        super().__init__(columns, lines)

    def text(self) -> str:
        for y in self.dirty:
            line = self.buffer[y]
            self._lines[y] = "".join(line[x].data for x in range(self.columns))
        self.dirty.clear()
        return "\n".join(self._lines[y] for y in range(self.lines))

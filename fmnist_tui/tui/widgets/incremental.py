"""A widget of lines, of which only the cells that are other than before go to the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Self

from rich.style import Style
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class IncrementalWidget(Widget):
    """Subclasses give all their lines in `paint`, and call `repaint` when these may be others.

    What the lines depend on besides (the size, the styles, the theme) is looked after here.
    """

    _painted: Sequence[Strip] = ()
    _painted_for: object = None

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        """The lines, from the top; fewer than `height` leave the rest empty."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Draw anew what differs."""
        before, seen = self._painted, self._painted_for
        if seen is None or seen != self._circumstances():
            self.refresh()
            return
        self._paint()
        regions = list(differing(before, self._painted))
        if regions:
            self.refresh(*regions)

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        if not regions:  # somebody else's wish: who knows what has changed
            self._painted_for = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def render_line(self, y: int) -> Strip:
        if self._painted_for is None or self._painted_for != self._circumstances():
            self._paint()
        return self._painted[y] if y < len(self._painted) else self._blank()

    def _paint(self) -> None:
        width, height = self.size
        base = self.rich_style
        lines = self.paint(width, height, base)[:height]
        self._painted = [line.adjust_cell_length(width, base) for line in lines]
        self._painted += [self._blank()] * (height - len(lines))
        self._painted_for = self._circumstances()

    def _blank(self) -> Strip:
        return Strip.blank(self.size.width, self.rich_style)

    def _circumstances(self) -> object:
        return self.size, self.rich_style, self.app.theme, self.has_focus


def entitle(pane: Widget, title: str | None = None, subtitle: str | None = None) -> None:
    """Write on a pane's border. Another title has all of the pane drawn: so only if it is."""
    for name, told in (("border_title", title), ("border_subtitle", subtitle)):
        if told is not None and getattr(pane, name) != Content(told).markup:
            setattr(pane, name, Content(told))


def differing(before: Sequence[Strip], after: Sequence[Strip]) -> Iterator[Region]:
    """Where lines differ: of each that does, from the first to the last cell that is another."""
    for y, (old, new) in enumerate(zip_longest(before, after)):
        if old is None or new is None:
            yield Region(0, y, (old or new).cell_length, 1)
        elif old != new:
            left, right = _span(list(_cells(old)), list(_cells(new)))
            yield Region(left, y, right - left, 1)


def _span(old: list[object], new: list[object]) -> tuple[int, int]:
    wide = max(len(old), len(new))
    if len(old) != len(new):
        return 0, wide
    left = next((at for at in range(wide) if old[at] != new[at]), 0)
    right = next((at for at in range(wide, 0, -1) if old[at - 1] != new[at - 1]), wide)
    return left, max(right, left + 1)


def _cells(strip: Strip) -> Iterator[object]:
    """What is in each cell; the second half of a wide character is the same again."""
    for segment in strip:
        if segment.cell_length == len(segment.text):
            for sign in segment.text:
                yield sign, segment.style
        else:
            for _ in range(segment.cell_length):
                yield segment.text, segment.style

"""A widget of lines that sends only changed cells to the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Self

from rich.style import Style
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.util.text import safe_text


class QuietTitles(Widget):
    """A widget whose border titles can change without a redraw of what is inside."""

    _labels = (Content(""), Content(""))
    _setting_titles = False

    def label(self, title: Content, subtitle: Content) -> None:
        """Set the border titles, redrawing only the border."""
        if self._labels != (title, subtitle):
            self._labels = (title, subtitle)
            self.set_titles(border_title=title, border_subtitle=subtitle)

    def set_titles(self, **titles: Content) -> None:
        """Set the attributes of border titles, redrawing only the border."""
        self._setting_titles = True
        for name, text in titles.items():
            setattr(self, name, text)
        self._setting_titles = False

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        if self._setting_titles:
            width, height = self.outer_size
            above = Region(0, 0, width, 1).translate(-self.content_offset)
            regions = (above, above.translate((0, height - 1)))
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class IncrementalWidget(QuietTitles):
    """Subclasses return all lines in `paint`, and call `repaint` when they may have changed.

    Changes of size, style, theme and focus are handled here.
    """

    _painted: Sequence[Strip] = ()
    _painted_for: object = None

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        """The lines, from the top; missing ones are blank."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Redraw what has changed."""
        before, painted_for = self._painted, self._painted_for
        if painted_for is None or painted_for != self._context_key():
            self.refresh()
            return
        self._paint()
        regions = list(changed_regions(before, self._painted))
        if regions:
            self.refresh(*regions)

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        # Requested from outside: anything may have changed.
        if not regions and not self._setting_titles:
            self._painted_for = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def render_line(self, y: int) -> Strip:
        if self._painted_for is None or self._painted_for != self._context_key():
            self._paint()
        return self._painted[y] if y < len(self._painted) else self._blank()

    def _paint(self) -> None:
        width, height = self.size
        base = self.rich_style
        lines = self.paint(width, height, base)[:height]
        self._painted = [line.adjust_cell_length(width, base) for line in lines]
        self._painted += [self._blank()] * (height - len(lines))
        self._painted_for = self._context_key()

    def _blank(self) -> Strip:
        return Strip.blank(self.size.width, self.rich_style)

    def _context_key(self) -> object:
        return self.size, self.rich_style, self.app.theme, self.has_focus


def set_border_titles(pane: Widget, title: str | None = None, subtitle: str | None = None) -> None:
    """Set a pane's border titles if they differ: unless it has `QuietTitles`, setting them redraws
    the whole pane."""
    for name, text in (("border_title", title), ("border_subtitle", subtitle)):
        if text is not None:
            content = Content(safe_text(text))
            if getattr(pane, name) == content.markup:
                continue
            if isinstance(pane, QuietTitles):
                pane.set_titles(**{name: content})
            else:
                setattr(pane, name, content)


def update_text(label: Static, text: Content) -> None:
    """Update a label, and lay the screen out again only if it may need another height."""
    before = label.content
    if not isinstance(before, Content):
        label.update(text)
        return
    if before.is_same(text):
        return
    width = label.size.width
    lines = [content.split("\n", allow_blank=True) for content in (before, text)]
    fits = all(line.cell_length <= width for each in lines for line in each)
    label.update(text, layout=not fits or len(lines[0]) != len(lines[1]))


def changed_regions(before: Sequence[Strip], after: Sequence[Strip]) -> Iterator[Region]:
    """The changed part of every line, from its first to its last changed cell."""
    for y, (old, new) in enumerate(zip_longest(before, after)):
        if old is None or new is None:
            yield Region(0, y, (old or new).cell_length, 1)
        elif old != new:
            left, right = _span(list(_cells(old)), list(_cells(new)))
            yield Region(left, y, right - left, 1)


def _span(old: list[object], new: list[object]) -> tuple[int, int]:
    length = max(len(old), len(new))
    if len(old) != len(new):
        return 0, length
    left = next((i for i in range(length) if old[i] != new[i]), 0)
    right = next((i for i in range(length, 0, -1) if old[i - 1] != new[i - 1]), length)
    return left, max(right, left + 1)


def _cells(strip: Strip) -> Iterator[object]:
    """The content of each cell; a wide character fills two."""
    for segment in strip:
        if segment.cell_length == len(segment.text):
            for character in segment.text:
                yield character, segment.style
        else:
            for _ in range(segment.cell_length):
                yield segment.text, segment.style

"""A summary above the panes, wrapped between its parts if one line is too short."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

GAP = "  "


class SummaryLine(Widget):
    """Groups of short texts in one line, or each group on its own lines; no text is split."""

    DEFAULT_CSS = "SummaryLine { height: auto; width: 1fr; padding: 0 1; }"

    class HeightChanged(Message):
        """The text takes more or fewer lines than before."""

    _groups: tuple[tuple[Content, ...], ...] = ()
    _height = 0

    def on_resize(self) -> None:
        if self.size.height != self._height:
            self._height = self.size.height
            self.post_message(self.HeightChanged())

    def show(self, *groups: Sequence[Content]) -> None:
        before, after = self._groups, tuple(tuple(group) for group in groups if group)
        if after != before:
            self._groups = after
            width = max(1, self.size.width)
            self.refresh(layout=len(wrap_groups(before, width)) != len(wrap_groups(after, width)))

    @property
    def plain(self) -> str:
        """The text without styles."""
        return GAP.join(part.plain for group in self._groups for part in group)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(wrap_groups(self._groups, width)))

    def render(self) -> Content:
        return Content("\n").join(wrap_groups(self._groups, self.size.width))


def wrap_groups(groups: Sequence[Sequence[Content]], width: int) -> list[Content]:
    """The groups in one line of at most `width` cells, or else each group on a new line."""
    line = Content(GAP).join([part for group in groups for part in group])
    if line.cell_length <= width:
        return [line] if line else []
    return [line for group in groups for line in _wrap(group, width)]


def _wrap(parts: Sequence[Content], width: int) -> list[Content]:
    lines: list[list[Content]] = []
    used = 0
    for part in parts:
        part = part.truncate(max(1, width), ellipsis=True)
        if lines and used + len(GAP) + part.cell_length <= width:
            lines[-1].append(part)
            used += len(GAP) + part.cell_length
        else:
            lines.append([part])
            used = part.cell_length
    return [Content(GAP).join(line) for line in lines]

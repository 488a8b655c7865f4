"""A summary above the panes, wrapped between its parts if one line is too short."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

GAP = "  "


class SummaryLine(Widget):
    """Groups of short texts in one line, or each group on its own lines; no text is split."""

    DEFAULT_CSS = "SummaryLine { height: auto; width: 1fr; padding: 0 1; }"

    _groups: tuple[tuple[Content, ...], ...] = ()

    def show(self, *groups: Sequence[Content]) -> None:
        shown = tuple(tuple(group) for group in groups if group)
        if shown != self._groups:
            before, self._groups = self._groups, shown
            width = max(1, self.size.width)
            self.refresh(layout=len(wrap_groups(before, width)) != len(wrap_groups(shown, width)))

    @property
    def plain(self) -> str:
        """The text without styles."""
        return GAP.join(fact.plain for group in self._groups for fact in group)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(wrap_groups(self._groups, width)))

    def render(self) -> Content:
        return Content("\n").join(wrap_groups(self._groups, self.size.width))


def wrap_groups(groups: Sequence[Sequence[Content]], width: int) -> list[Content]:
    """The groups in one line of at most `width` cells, or else each group on a new line."""
    whole = Content(GAP).join([fact for group in groups for fact in group])
    if whole.cell_length <= width:
        return [whole] if whole else []
    return [line for group in groups for line in _wrap(group, width)]


def _wrap(facts: Sequence[Content], width: int) -> list[Content]:
    lines: list[list[Content]] = []
    used = 0
    for fact in facts:
        fact = fact.truncate(max(1, width), ellipsis=True)
        if lines and used + len(GAP) + fact.cell_length <= width:
            lines[-1].append(fact)
            used += len(GAP) + fact.cell_length
        else:
            lines.append([fact])
            used = fact.cell_length
    return [Content(GAP).join(line) for line in lines]

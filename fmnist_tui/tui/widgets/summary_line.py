"""A line of facts above the panes, broken between facts where one line is not enough."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

GAP = "  "


class SummaryLine(Widget):
    """Groups of facts in one line, or each group in lines of its own; no fact is torn apart."""

    DEFAULT_CSS = "SummaryLine { height: auto; width: 1fr; padding: 0 1; }"

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._groups: tuple[tuple[Content, ...], ...] = ()

    def show(self, *groups: Sequence[Content]) -> None:
        """Show these facts in their order."""
        shown = tuple(tuple(group) for group in groups if group)
        if shown != self._groups:
            before, self._groups = self._groups, shown
            width = max(1, self.size.width)
            self.refresh(layout=len(flowed(before, width)) != len(flowed(shown, width)))

    @property
    def plain(self) -> str:
        """What is said, without styles."""
        return GAP.join(fact.plain for group in self._groups for fact in group)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(flowed(self._groups, width)))

    def render(self) -> Content:
        return Content("\n").join(flowed(self._groups, self.size.width))


def flowed(groups: Sequence[Sequence[Content]], width: int) -> list[Content]:
    """The groups in one line of at most so many cells, or else each beginning a line."""
    whole = Content(GAP).join([fact for group in groups for fact in group])
    if whole.cell_length <= width:
        return [whole] if whole else []
    return [line for group in groups for line in _lines(group, width)]


def _lines(facts: Sequence[Content], width: int) -> list[Content]:
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

"""A table whose rows are lines: a cursor, keys for rows, and as little redrawn as possible."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widgets import DataTable

from fmnist_tui.util.text import safe_text

# A row is one cell: each cell of a DataTable is rendered on its own, which for ten of
# them costs as much as for ten rows.
_LINE = "line"


class LineTable(DataTable[Text]):
    """Lines with keys. `show` gives all of them; the cursor and the place stay where they were."""

    DEFAULT_CSS = """
    LineTable { height: 1fr; background: $background; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable; overflow-x: hidden;
        &:focus { background-tint: transparent; }
    }
    """
    KEYS_TITLE = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", id="table.open"),
        Binding("j", "cursor_down", "Down", show=False, id="table.down"),
        Binding("k", "cursor_up", "Up", show=False, id="table.up"),
        Binding("home", "scroll_top", "First", show=False, id="table.first"),
        Binding("end", "scroll_bottom", "Last", show=False, id="table.last"),
    ]

    class Resized(Message):
        """The lines have another width than before."""

    empty = ""
    _head = ""
    _width = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(cursor_type="row", cell_padding=0, **options)
        self._lines: dict[str, Text] = {}

    @property
    def current(self) -> str | None:
        """The key of the row under the cursor."""
        keys = list(self._lines)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    @property
    def room(self) -> int:
        """How many cells a line may take: the place of a scroll bar is left free."""
        return self.scrollable_content_region.width

    def on_resize(self) -> None:
        if self.room != self._width:
            self._width = self.room
            self.post_message(self.Resized())

    def show(self, head: Text, rows: Sequence[tuple[str, Text]], empty: str = "") -> None:
        """Show these lines; `empty` is said where there are none."""
        lines = dict(rows)
        if empty != self.empty:
            self.empty = empty
            self.refresh()
        if head.plain != self._head or list(lines) != list(self._lines):
            self._rebuild(head, lines)
            return
        for key, line in lines.items():
            if line != self._lines[key]:
                self.update_cell(key, _LINE, line)
        self._lines = lines

    def put(self, key: str, line: Text) -> None:
        """Show another line for a row, or a new row at the end.

        Before the first `show`, which brings all there is, there is nothing to do."""
        if not self._head:
            return
        if key not in self._lines:
            self.add_row(line, key=key)
        elif line != self._lines[key]:
            self.update_cell(key, _LINE, line)
        self._lines[key] = line

    def go_to(self, key: str) -> None:
        """Put the cursor on a row."""
        if key in self._lines:
            self.move_cursor(row=list(self._lines).index(key), animate=False)

    def _rebuild(self, head: Text, lines: dict[str, Text]) -> None:
        keys = list(lines)
        current, row, top = self.current, self.cursor_row, self.scroll_offset.y
        self._lines = lines
        with self.app.batch_update(), self.prevent(DataTable.RowHighlighted):
            if head.plain != self._head:
                self.clear(columns=True)
                self.add_column(head, width=head.cell_len, key=_LINE)
                self._head = head.plain
            else:
                self.clear()
            for key, line in lines.items():
                self.add_row(line, key=key)
            place = keys.index(current) if current in lines else min(row, len(keys) - 1)
            # The table finds out how long it is only when it is idle; until then it
            # could not be where it was.
            self.virtual_size = Size(head.cell_len, len(keys) + self.header_height)
            if place > 0:
                self.move_cursor(row=place, animate=False, scroll=False)
            # The line under the cursor stays where it is on the screen.
            self.scroll_to(y=max(0, top + place - row) if top else 0, animate=False, force=True)
        if self.current is not None:
            self.post_message(
                DataTable.RowHighlighted(self, self.cursor_row, self.ordered_rows[place].key)
            )

    def render_line(self, y: int) -> Strip:
        if self._lines or not self.empty:
            return super().render_line(y)
        (width, height), base = self.size, self.rich_style
        wrapped = (
            textwrap.wrap(safe_text(line), max(1, width - 2)) for line in self.empty.split("\n")
        )
        lines = list(chain.from_iterable(wrapped))
        row = y - max(0, (height - len(lines)) // 2)
        text = lines[row] if 0 <= row < len(lines) else ""
        return Strip([Segment(text.center(width), base)]).adjust_cell_length(width, base)

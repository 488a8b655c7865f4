"""A table of rows below a fixed header: only rows that change are redrawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size, Spacing
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fmnist_tui.tui.widgets.empty_text import empty_text_line


@dataclass
class RowMessage(Message):
    """Something has happened to the row with this key."""

    table: LineTable
    key: str

    @property
    def control(self) -> LineTable:
        return self.table


class LineTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows with keys, `row_height` lines each; when rows change, the cursor stays on its row.

    Without a text in it the header takes no line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-table--header",
        "line-table--cursor",
        "line-table--hover",
    }
    DEFAULT_CSS = """
    LineTable { background: $background; color: $foreground; overflow-x: hidden;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        & > .line-table--header { background: $panel; color: $foreground; text-style: bold; }
        &:ansi > .line-table--header { background: ansi_bright_blue; color: ansi_default; }
        & > .line-table--hover { background: $block-hover-background; }
        & > .line-table--cursor { background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground; text-style: $block-cursor-blurred-text-style; }
        &:focus {
            & > .line-table--header { background-tint: $foreground 5%; }
            & > .line-table--cursor { background: $block-cursor-background;
                color: $block-cursor-foreground; text-style: $block-cursor-text-style; }
        }
    }
    """
    ALLOW_SELECT = False
    KEYS_TITLE = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Open", id="table.open"),
        Binding("down", "move(1)", "Down", show=False),
        Binding("j", "move(1)", "Down", show=False, id="table.down"),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("home,ctrl+home", "first", "First", show=False, id="table.first"),
        Binding("end,ctrl+end", "last", "Last", show=False, id="table.last"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False, init=False)
    hover: reactive[int | None] = reactive(None, repaint=False, init=False)
    # The text shown while there are no rows.
    empty: reactive[str] = reactive("")
    row_height = 1
    _header = Text("")
    _row_style = Style.null()
    # While the table is hidden they are 0.
    _width = _height = 0

    class Resized(Message):
        """The width of lines has changed."""

    class HeaderClicked(Message):
        """The header was clicked, `x` cells from the left."""

        def __init__(self, x: int) -> None:
            super().__init__()
            self.x = x

    class RowHighlighted(RowMessage):
        """Another row is under the cursor."""

    class RowSelected(RowMessage):
        """A row was chosen with enter, or by a click on the row under the cursor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows: dict[str, Text] = {}
        self._keys: list[str] = []
        # The header and the height of rows, as they were drawn last.
        self._layout: tuple[Text, int] = self._header, self.row_height

    @property
    def current(self) -> str | None:
        """The key of the row under the cursor."""
        return self._keys[self.cursor] if self._keys else None

    @property
    def line_width(self) -> int:
        """The cells that a line may take, beside the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def visible_keys(self) -> list[str]:
        """The keys of the rows that are on the screen, at least in part."""
        top = self.scroll_offset.y
        bottom = top + max(0, self.size.height - self._head)
        return self._keys[top // self.row_height : -(-bottom // self.row_height)]

    @property
    def _head(self) -> int:
        """The lines of the header."""
        return 1 if self._header else 0

    def set_rows(self, header: Text, rows: Iterable[tuple[str, Text]], empty: str = "") -> None:
        """Replace all rows; `empty` is shown if there are none."""
        before, current, cursor = self.rows, self.current, self.cursor
        self.rows, self.empty = dict(rows), empty
        layout = (header, self.row_height)
        if layout == self._layout and list(self.rows) == self._keys:
            for row, (key, line) in enumerate(self.rows.items()):
                if line is not before[key] and line != before[key]:
                    self._refresh_row(row)
            return
        is_resized = self.row_height != self._layout[1]
        was_visible = is_resized or self._is_cursor_visible(self.size.height)
        was_at_top = not self.scroll_offset.y
        above = self.scroll_offset.y - cursor * self._layout[1]
        self._layout, self._header, self._keys = layout, header, list(self.rows)
        lines = len(self._keys) * self.row_height + self._head
        self.virtual_size = Size(header.cell_len, lines)
        self.set_reactive(
            LineTable.cursor,
            self._keys.index(current) if current in self.rows else self.validate_cursor(cursor),
        )
        # The row under the cursor stays where it is on the screen. New rows above the first one
        # are shown, unless they would move the cursor out of sight.
        first = self.cursor * self.row_height
        y = 0 if was_at_top else max(0, first + above)
        if was_visible:
            y = max(first + self.row_height + self._head - self.size.height, min(first, y))
        self.scroll_to(y=y, animate=False, force=True)
        self.refresh()
        if self.current != current:
            self._post_highlighted()

    def set_row(self, key: str, line: Text) -> None:
        """Replace the line of a row, if there is one with this key."""
        if key in self.rows and line != self.rows[key]:
            self.rows[key] = line
            self._refresh_row(self._keys.index(key))

    def go_to(self, key: str) -> None:
        """Move the cursor to a row."""
        if key in self.rows:
            self.move_cursor(self._keys.index(key))

    def move_cursor(self, row: int) -> None:
        self.hover = None
        self.cursor = row
        self._scroll_to_cursor()

    def _scroll_to_cursor(self) -> None:
        first = self.cursor * self.row_height + self._head
        region = Region(0, first, 1, self.row_height)
        self.scroll_to_region(region, spacing=Spacing(top=self._head), animate=False, force=True)

    def _is_cursor_visible(self, height: int) -> bool:
        """Whether a table of this height shows the row under the cursor."""
        line = self.cursor * self.row_height - self.scroll_offset.y
        return 0 <= line < height - self._head

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(len(self.rows) - 1, cursor))

    def watch_cursor(self, before: int, after: int) -> None:
        self._refresh_row(before)
        self._refresh_row(after)
        self._post_highlighted()

    def watch_hover(self, before: int | None, after: int | None) -> None:
        for row in (before, after):
            if row is not None:
                self._refresh_row(row)

    def _post_highlighted(self) -> None:
        if self.current is not None:
            self.post_message(self.RowHighlighted(self, self.current))

    def action_select(self) -> None:
        if self.current is not None:
            self.post_message(self.RowSelected(self, self.current))

    def action_move(self, rows: int) -> None:
        self.move_cursor(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        rows = pages * max(1, (self.size.height - self._head) // self.row_height)
        self.scroll_relative(y=rows * self.row_height, animate=False, force=True)
        self.move_cursor(self.cursor + rows)

    def action_first(self) -> None:
        self.move_cursor(0)

    def action_last(self) -> None:
        self.move_cursor(len(self.rows) - 1)

    def on_resize(self) -> None:
        if not self._height or self._is_cursor_visible(self._height):
            self._scroll_to_cursor()
        self._height = self.size.height
        if self.line_width != self._width:
            self._width = self.line_width
            self.post_message(self.Resized())

    def on_hide(self) -> None:
        # A hidden table has no width, so it may not have been filled: `Resized` is posted again
        # when it is shown.
        self._width = self._height = 0

    def on_click(self, event: events.Click) -> None:
        row = self._row_at(event)
        if row is not None:
            event.stop()
            if row == self.cursor:
                self.action_select()
            self.move_cursor(row)
        elif (offset := event.get_content_offset(self)) is not None and offset.y < self._head:
            self.post_message(self.HeaderClicked(offset.x))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.hover = self._row_at(event)

    def on_leave(self) -> None:
        self.hover = None

    def _row_at(self, event: events.MouseEvent) -> int | None:
        offset = event.get_content_offset(self)
        return None if offset is None else self._row_of_line(offset.y)

    def _row_of_line(self, y: int) -> int | None:
        """The row on a line of the screen, none on the header or below the last row."""
        row = (y - self._head + self.scroll_offset.y) // self.row_height
        return row if y >= self._head and row < len(self.rows) else None

    def _refresh_row(self, row: int) -> None:
        first = row * self.row_height + self._head
        top = self.scroll_offset.y + self._head
        for line in range(max(first, top), first + self.row_height):
            if line - self.scroll_offset.y < self.size.height:
                self.refresh_line(line)

    def render_lines(self, crop: Region) -> list[Strip]:
        # Textual works it out anew each time that it is asked: here once for all lines.
        self._row_style = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        if not self.rows and self.empty:
            text = Text(empty_text_line(self.empty, y, self.size))
            return self._line_strip(text, self._row_style)
        if y < self._head:
            return self._line_strip(
                self._header, self.get_component_rich_style("line-table--header")
            )
        row = self._row_of_line(y)
        if row is None:
            return Strip.blank(self.size.width, self._row_style)
        key, line = self._keys[row], y - self._head + self.scroll_offset.y - row * self.row_height
        for name, highlighted in (("cursor", self.cursor), ("hover", self.hover)):
            if row == highlighted:
                style = self.get_component_rich_style(f"line-table--{name}")
                return self.row_strip(key, line, style, Style(color=style.color))
        return self.row_strip(key, line, self._row_style)

    def row_strip(self, key: str, line: int, style: Style, over: Style | None = None) -> Strip:
        """A line of a row; `over` replaces the styles of its parts."""
        return self._line_strip(self.rows[key], style, over)

    def _line_strip(self, line: Text, style: Style, over: Style | None = None) -> Strip:
        """A line on a style; `over` replaces the styles of its parts."""
        segments = Segment.apply_style(line.render(self.app.console), style, over)
        return Strip(segments).adjust_cell_length(self.size.width, style)

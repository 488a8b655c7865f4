"""The confusion matrix as a table of coloured numbers with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from fmnist_tui.tui.screens.evaluate import confusion_layout
from fmnist_tui.tui.screens.evaluate.confusion_layout import Cell, ConfusionLayout
from fmnist_tui.tui.theme import muted_style
from fmnist_tui.tui.widgets.confusion_heatmap import (
    Counts,
    HeatColours,
    cell_shares,
    fit_label,
    heat_colours,
)
from fmnist_tui.util.class_names import short_name, short_names
from fmnist_tui.util.sequences import next_item
from fmnist_tui.util.text import cell_width

COUNTS, ROWS, COLUMNS = "counts", "row %", "column %"
MODES = (COUNTS, ROWS, COLUMNS)


class ConfusionTable(Widget, can_focus=True):
    """True classes as rows, predicted classes as columns; `enter` opens the cell at the cursor.

    The table scrolls with the cursor, whose row and column are marked in the headings."""

    DEFAULT_CSS = "ConfusionTable { height: 1fr; min-height: 4; }"
    KEYS_TITLE = "Confusion matrix"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open these images", id="matrix.open"),
        Binding("up,k", "move(-1, 0)", "Move in the matrix", show=False, id="matrix.up"),
        Binding("down,j", "move(1, 0)", "Move in the matrix", show=False, id="matrix.down"),
        Binding("left,h", "move(0, -1)", "Move in the matrix", show=False, id="matrix.left"),
        Binding("right,l", "move(0, 1)", "Move in the matrix", show=False, id="matrix.right"),
        Binding("pageup", "page(-1)", "A page up or down", show=False, id="matrix.pageup"),
        Binding("pagedown", "page(1)", "A page up or down", show=False, id="matrix.pagedown"),
        Binding("home", "move(0, -10000)", "To the row's ends", show=False, id="matrix.home"),
        Binding("end", "move(0, 10000)", "To the row's ends", show=False, id="matrix.end"),
    ]

    cursor: reactive[Cell] = reactive((0, 0), repaint=False)
    mode: reactive[str] = reactive(COUNTS)

    @dataclass
    class CellOpened(Message):
        """The user opens the cell at the cursor."""

        true: int
        predicted: int

    @dataclass
    class CellHighlighted(Message):
        """Another cell is at the cursor."""

        true: int
        predicted: int

    _confusion: Counts = ()
    _names: tuple[str, ...] = ()
    # Each cell as a share of its column, if these are shown, or else of its row.
    _shares: Sequence[Sequence[float]] = ()
    _digits = 0
    _left = _top = 0

    def show(self, confusion: Counts, classes: Sequence[str]) -> None:
        """Show these counts. New classes put the cursor on the most frequent confusion."""
        names = tuple(classes)
        self._confusion = tuple(tuple(row) for row in confusion)
        self._shares = cell_shares(self._confusion, self.mode == COLUMNS)
        highest = max((max(row) for row in self._confusion), default=0)
        self._digits = len(str(highest))
        if names != self._names:
            self._names = names
            self._left = self._top = 0
            self.refresh_bindings()
            self.set_reactive(
                ConfusionTable.cursor, confusion_layout.most_confused_cell(self._confusion)
            )
        self._scroll_to_cursor()
        self._update_titles()
        self.refresh()

    def next_mode(self) -> None:
        """Switch from counts to per cent of the row, then of the column."""
        self.mode = next_item(MODES, self.mode)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self._names) if action == "open" else True

    # -- the cursor -------------------------------------------------------------------

    def validate_cursor(self, cursor: Cell) -> Cell:
        last = max(0, len(self._names) - 1)
        return max(0, min(last, cursor[0])), max(0, min(last, cursor[1]))

    def watch_cursor(self) -> None:
        self._scroll_to_cursor()
        self._update_titles()
        self.post_message(self.CellHighlighted(*self.cursor))

    def watch_mode(self) -> None:
        self._shares = cell_shares(self._confusion, self.mode == COLUMNS)
        self._scroll_to_cursor()
        self._update_titles()

    def on_resize(self) -> None:
        self._scroll_to_cursor()

    def action_move(self, down: int, right: int) -> None:
        self.cursor = (self.cursor[0] + down, self.cursor[1] + right)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * self._layout.rows, 0)

    def action_open(self) -> None:
        if self._names:
            self.post_message(self.CellOpened(*self.cursor))

    def on_click(self, event: events.Click) -> None:
        cell = self._cell_at(event)
        if cell is not None:
            self.cursor = cell
            if event.chain == 2:
                self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._scroll(event, 1, 0)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._scroll(event, -1, 0)

    def on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        self._scroll(event, 0, 1)

    def on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        self._scroll(event, 0, -1)

    def _scroll(self, event: events.MouseEvent, down: int, right: int) -> None:
        event.stop()
        if event.shift:
            down, right = right, down
        self._top += down
        self._left += right
        self._clamp_scroll()
        self.refresh()

    def _cell_at(self, event: events.MouseEvent) -> Cell | None:
        layout, offset = self._layout, event.get_content_offset(self)
        if offset is None or offset.y < layout.headings or offset.x < layout.head_width:
            return None
        row = (offset.y - layout.headings) // layout.row_height
        column = (offset.x - layout.head_width) // layout.cell_width
        if row >= layout.rows or column >= layout.columns:
            return None
        return self._top + row, self._left + column

    def _scroll_to_cursor(self) -> None:
        """Make the cell at the cursor visible."""
        layout, (row, column) = self._layout, self.cursor
        self._top = max(row - layout.rows + 1, min(self._top, row))
        self._left = max(column - layout.columns + 1, min(self._left, column))
        self._clamp_scroll()

    def _clamp_scroll(self) -> None:
        layout, count = self._layout, len(self._names)
        self._top = max(0, min(self._top, count - layout.rows))
        self._left = max(0, min(self._left, count - layout.columns))

    def _update_titles(self) -> None:
        self.border_title = Content(f"Confusion, {self.mode}")
        subtitle = ""
        if self._names:
            subtitle = confusion_layout.describe_cell(
                self._confusion, self._names, self.cursor, self.mode == COLUMNS
            )
        self.border_subtitle = Content(subtitle)

    # -- drawing ----------------------------------------------------------------------

    @property
    def _layout(self) -> ConfusionLayout:
        digits = self._digits if self.mode == COUNTS else 4
        return ConfusionLayout.fit(*self.size, self._names, digits)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if not self._names:
            return Strip.blank(width, base)
        # Lines may be drawn before the resize event comes.
        self._clamp_scroll()
        layout = self._layout
        row, line = divmod(y - layout.headings, layout.row_height)
        if y < layout.headings:
            segments = self._headings(layout, y, base)
        elif row >= layout.rows:
            return Strip.blank(width, base)
        else:
            colours = heat_colours(self.app.theme_variables, self.app.current_theme.dark)
            has_text = line == (layout.row_height - 1) // 2
            segments = self._row(layout, colours, self._top + row, base, has_text)
        return Strip(segments).adjust_cell_length(width, base)

    def _headings(self, layout: ConfusionLayout, line: int, base: Style) -> list[Segment]:
        plain = base + muted_style(self.app.theme_variables)
        marked = base + Style(bold=True, reverse=True)
        end, step = self._left + layout.columns, layout.headings
        segments = []
        if line == step - 1:
            corner = "true↓ pred→" if layout.head_width > 11 else "↓ →"
            # An arrow at either end shows that there are more columns.
            arrow = "◀" if self._left else " "
            segments.append(Segment(fit_label(corner, layout.head_width - 1) + arrow, plain))
        else:
            # The first name begins above the names of the rows.
            segments.append(Segment(" " * (layout.head_width - layout.cell_width), plain))
        width = layout.cell_width * step - 1
        names = short_names(self._names, width)
        for column in range(self._left + line, end, step):
            segments.append(Segment(" " * (width - cell_width(names[column])), plain))
            segments.append(Segment(names[column], marked if column == self.cursor[1] else plain))
            arrow = "▶" if column == end - 1 and end < len(self._names) else " "
            segments.append(Segment(arrow, plain))
        return segments

    def _row(
        self, layout: ConfusionLayout, colours: HeatColours, row: int, base: Style, has_text: bool
    ) -> list[Segment]:
        has_cursor, count = self.cursor[0] == row, len(self._names)
        sign = " "
        if has_cursor:
            sign = "▸"
        elif row == self._top and row > 0:
            sign = "▲"
        elif row == self._top + layout.rows - 1 and row < count - 1:
            sign = "▼"
        name = fit_label(short_name(self._names, row, layout.head_width - 2), layout.head_width - 2)
        head = f"{sign}{name} " if has_text else " " * layout.head_width
        marked = Style(bold=True, reverse=True) if has_cursor and has_text else Style()
        segments = [Segment(head[:-1], base + marked), Segment(head[-1:], base)]
        for column in range(self._left, self._left + layout.columns):
            segments.append(self._cell(layout, colours, (row, column), base, has_text))
        return segments

    def _cell(
        self, layout: ConfusionLayout, colours: HeatColours, cell: Cell, base: Style, has_text: bool
    ) -> Segment:
        row, column = cell
        count = self._confusion[row][column]
        share = self._shares[row][column]
        style = base + (colours.style(share, row == column) if count else Style(dim=True))
        text = ""
        if has_text:
            text = str(count) if self.mode == COUNTS else _percent_text(share)
            text = text if count else "·"
        text = fit_label(text, layout.cell_width - 1, right=True)
        if cell != self.cursor:
            return Segment(f"{text} ", style)
        if has_text:
            text = f"[{text[1:]}]"
        cursor = colours.cursor if self.has_focus else Style(bold=True)
        return Segment(text.ljust(layout.cell_width), style + cursor)


def _percent_text(share: float) -> str:
    """Per cent with one decimal; only a share of exactly 1 is `100`."""
    return "100" if share >= 1 else f"{min(99.9, 100 * share):.1f}"

"""The confusion matrix as a table: heat, numbers, and a cursor on one cell of it."""

from __future__ import annotations

from collections.abc import Sequence
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

from fmnist_tui.render.contact_sheet import cells
from fmnist_tui.tui.screens.evaluate import confusion_layout
from fmnist_tui.tui.screens.evaluate.confusion_layout import Cell, ConfusionLayout
from fmnist_tui.tui.widgets.confusion_heatmap import Counts, HeatColours, fitted, palette, shares
from fmnist_tui.util.text import safe_text

COUNTS, ROWS, COLUMNS = "counts", "row %", "column %"
MODES = (COUNTS, ROWS, COLUMNS)


class ConfusionTable(Widget, can_focus=True):
    """True classes as rows, predicted ones as columns; `enter` opens the cell under the cursor.

    Whatever the number of classes, the cursor's cell is in view, and its row and column are
    marked at their heads."""

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

    class Opened(Message):
        """The cell under the cursor was asked for."""

        def __init__(self, true: int, predicted: int) -> None:
            super().__init__()
            self.true, self.predicted = true, predicted

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._confusion: tuple[tuple[int, ...], ...] = ()
        self._names: tuple[str, ...] = ()
        self._shares: dict[bool, tuple[tuple[float, ...], ...]] = {}
        self._longest = self._figures = 0
        self._left = self._top = 0

    def show(self, confusion: Counts, classes: Sequence[str]) -> None:
        """Show these counts. Where the classes are others the cursor goes to the worst cell."""
        names = tuple(classes)
        self._confusion = tuple(tuple(row) for row in confusion)
        self._shares = {by: shares(self._confusion, by) for by in (False, True)}
        self._longest = max((cells(safe_text(name)) for name in names), default=0)
        most = max((max(row) for row in self._confusion), default=0)
        self._figures = max(3, len(str(most)))
        if names != self._names:
            self._names = names
            self._left = self._top = 0
            self.refresh_bindings()
            self.set_reactive(ConfusionTable.cursor, confusion_layout.worst(self._confusion))
        self._follow()
        self._tell()
        self.refresh()

    def next_mode(self) -> None:
        """Counts, then per cent of the row, then of the column."""
        self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self._names) if action == "open" else True

    # -- the cursor -------------------------------------------------------------------

    def validate_cursor(self, cursor: Cell) -> Cell:
        last = max(0, len(self._names) - 1)
        return max(0, min(last, cursor[0])), max(0, min(last, cursor[1]))

    def watch_cursor(self) -> None:
        self._follow()
        # What is told of the cell is in the border: all of it is drawn anew.
        self._tell()

    def watch_mode(self) -> None:
        self._follow()
        self._tell()

    def on_resize(self) -> None:
        self._follow()

    def action_move(self, down: int, right: int) -> None:
        self.cursor = (self.cursor[0] + down, self.cursor[1] + right)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * self._layout.rows, 0)

    def action_open(self) -> None:
        if self._names:
            self.post_message(self.Opened(*self.cursor))

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
        self._keep_inside()
        self.refresh()

    def _cell_at(self, event: events.MouseEvent) -> Cell | None:
        found, place = self._layout, event.get_content_offset(self)
        if place is None or place.y < 1 or place.x < found.head:
            return None
        row, column = (place.y - 1) // found.tall, (place.x - found.head) // found.cell
        if row >= found.rows or column >= found.columns:
            return None
        return self._top + row, self._left + column

    def _follow(self) -> None:
        """Bring the cursor's cell into view."""
        found, (true, said) = self._layout, self.cursor
        self._top = max(true - found.rows + 1, min(self._top, true))
        self._left = max(said - found.columns + 1, min(self._left, said))
        self._keep_inside()

    def _keep_inside(self) -> None:
        found, count = self._layout, len(self._names)
        self._top = max(0, min(self._top, count - found.rows))
        self._left = max(0, min(self._left, count - found.columns))

    def _tell(self) -> None:
        self.border_title = Content(f"confusion, {self.mode}")
        told = ""
        if self._names:
            told = confusion_layout.in_words(
                self._confusion, self._names, self.cursor, self.mode == COLUMNS
            )
        self.border_subtitle = Content(told)

    # -- drawing ----------------------------------------------------------------------

    @property
    def _layout(self) -> ConfusionLayout:
        figures = self._figures if self.mode == COUNTS else 4
        return confusion_layout.layout(*self.size, len(self._names), self._longest, figures)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if not self._names:
            return Strip.blank(width, base)
        # A line may be wanted before the widget has been told that its size is another.
        self._keep_inside()
        found = self._layout
        row, line = divmod(y - 1, found.tall)
        if y == 0:
            segments = self._heads(found, base)
        elif row >= found.rows:
            return Strip.blank(width, base)
        else:
            heat = palette(self.app.theme_variables, self.app.current_theme.dark)
            told = line == (found.tall - 1) // 2
            segments = self._row(found, heat, self._top + row, base, told)
        return Strip(segments).adjust_cell_length(width, base)

    def _heads(self, found: ConfusionLayout, base: Style) -> list[Segment]:
        plain, marked = base + Style(dim=True), base + Style(bold=True, reverse=True)
        last = self._left + found.columns
        corner = "true↓ pred→" if found.head > 11 else "↓ →"
        # An arrow at either end says that there are more columns there.
        more = "◀" if self._left else " "
        segments = [Segment(fitted(corner, found.head - 1) + more, plain)]
        for said in range(self._left, last):
            name = fitted(
                fitted(self._names[said], found.cell - 1).rstrip(), found.cell - 1, right=True
            )
            segments.append(Segment(name, marked if said == self.cursor[1] else plain))
            gap = "▶" if said == last - 1 and last < len(self._names) else " "
            segments.append(Segment(gap, plain))
        return segments

    def _row(
        self, found: ConfusionLayout, heat: HeatColours, true: int, base: Style, told: bool
    ) -> list[Segment]:
        here, count = self.cursor[0] == true, len(self._names)
        sign = "▸" if here else " "
        if true == self._top and true > 0 and not here:
            sign = "▲"
        elif true == self._top + found.rows - 1 and true < count - 1 and not here:
            sign = "▼"
        name = fitted(self._names[true], found.head - 2)
        head = f"{sign}{name} " if told else " " * found.head
        marked = Style(bold=True, reverse=True) if here and told else Style()
        segments = [Segment(head[:-1], base + marked), Segment(head[-1:], base)]
        for said in range(self._left, self._left + found.columns):
            segments.append(self._cell(found, heat, (true, said), base, told))
        return segments

    def _cell(
        self, found: ConfusionLayout, heat: HeatColours, cell: Cell, base: Style, told: bool
    ) -> Segment:
        true, said = cell
        count = self._confusion[true][said]
        share = self._shares[self.mode == COLUMNS][true][said]
        style = base + (heat.style(share, true == said) if count else Style(dim=True))
        text = str(count) if self.mode == COUNTS else _hundredths(share)
        text = fitted(text if count and told else "·" if told else "", found.cell - 1, right=True)
        if cell != self.cursor:
            return Segment(f"{text} ", style)
        if told:
            text = f"[{text[1:]}]"
        chosen = heat.cursor if self.has_focus else Style(bold=True)
        return Segment(text.ljust(found.cell), style + chosen)


def _hundredths(share: float) -> str:
    """Per cent with a decimal; all of it, and only that, is 100."""
    return "100" if share >= 1 else f"{min(99.9, 100 * share):.1f}"

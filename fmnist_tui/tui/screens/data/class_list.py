"""The left side of the Data screen: the dataset with its splits, and its classes."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.data.browse import DatasetFilter
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.widgets.image_view import background
from fmnist_tui.util.class_names import names_width, short_name
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.text import cell_width, safe_text


class DatasetHeader(Widget):
    """The dataset's name and size, and its splits, the selected one in brackets."""

    DEFAULT_CSS = "DatasetHeader { height: 6; }"
    _filter: DatasetFilter | None = None
    _on_disk = True

    class SplitClicked(Message):
        """A split was clicked."""

        def __init__(self, split: str) -> None:
            super().__init__()
            self.split = split

    class TitleClicked(Message):
        """The name of the dataset was clicked."""

    def show(self, dataset_filter: DatasetFilter, on_disk: bool = True) -> None:
        self._filter, self._on_disk = dataset_filter, on_disk
        self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        if self._filter is None:
            return Content("")
        dataset, split = self._filter.dataset, self._filter.split
        info, (_, rows, columns, channels) = dataset.info, split.images.shape
        warning = "  SYNTHETIC" if info.synthetic else ""
        title = safe_text(info.title.removesuffix(" (SYNTHETIC)"), width - len(warning))
        tabs, counts = [Content("")], [Content("")]
        for name in SPLITS:
            selected = name == split.name
            style = "bold $accent" if selected else "$foreground"
            tab = f"[{name}]" if selected else name
            tabs.append(Content.styled(f"{tab:^{self._tab_width}}", style))
            count = len(dataset.split(name))
            counts.append(Content.styled(f"{count:^{self._tab_width},}", style))
        colour = "colour" if channels == 3 else "grey"
        note = Content(f"{len(info.classes)} classes · {columns}×{rows} {colour}")
        if not self._on_disk:
            note = Content.styled("files missing, in memory", "$warning")
        elif dataset.notes:
            key = key_name("data.about")
            notes = f"{format_count(len(dataset.notes), 'note')} on loading: press {key}"
            note = Content.styled(notes, "$warning")
        heading = Content.assemble((title, "bold $primary"), (warning, "bold $warning"))
        return Content("\n").join([heading, Content("").join(tabs), Content("").join(counts), note])

    @property
    def _tab_width(self) -> int:
        return self.content_size.width // len(SPLITS)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or self._filter is None:
            return
        if offset.y == 0:
            self.post_message(self.TitleClicked())
        elif offset.y in (1, 2) and offset.x < len(SPLITS) * self._tab_width:
            self.post_message(self.SplitClicked(SPLITS[offset.x // self._tab_width]))


class ClassList(Widget, can_focus=True):
    """The classes with their counts as bars; the selected ones have a filled mark."""

    DEFAULT_CSS = "ClassList { height: 1fr; min-height: 3; }"
    KEYS_TITLE = "Classes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="classes.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="classes.down"),
        Binding("home,pageup", "move(-1000)", "First class", show=False, id="classes.first"),
        Binding("end,pagedown", "move(1000)", "Last class", show=False, id="classes.last"),
        Binding("enter,space", "select", "Select this class", id="classes.toggle"),
    ]
    cursor: reactive[int] = reactive(0)
    _names: tuple[str, ...] = ()
    _counts: tuple[int, ...] = ()
    _selected: frozenset[int] = frozenset()

    class ClassToggled(Message):
        """A class is to be added to the filter or removed from it."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def show(self, dataset_filter: DatasetFilter) -> None:
        """Show the split's classes, and which are selected."""
        self._names = tuple(dataset_filter.classes)
        self._counts, self._selected = dataset_filter.counts, dataset_filter.selected
        self.cursor = self.validate_cursor(self.cursor)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._names)

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(len(self._names) - 1, cursor))

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_select(self) -> None:
        if self._names:
            self.post_message(self.ClassToggled(self.cursor))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and self._top + offset.y < len(self._names):
            self.cursor = self._top + offset.y
            self.action_select()

    @on(events.MouseScrollDown)
    @on(events.MouseScrollUp)
    def _scroll(self, event: events.MouseEvent) -> None:
        event.stop()
        self.cursor += 1 if isinstance(event, events.MouseScrollDown) else -1

    @property
    def _top(self) -> int:
        """The class on the first line, such that the cursor is visible."""
        height = max(1, self.size.height)
        return max(0, min(self.cursor - height // 2, len(self._names) - height))

    def render_line(self, y: int) -> Strip:
        style, width = self.visual_style, self.size.width
        number = self._top + y
        if number >= len(self._names):
            return Strip.blank(width, background(style.rich_style))
        if number == self.cursor and self.has_focus:
            style += Style(reverse=True)
        line = self._class_line(number, width)
        return Strip(line.render_segments(style)).adjust_cell_length(width, style.rich_style)

    def _class_line(self, number: int, width: int) -> Content:
        """`● 7 Sneaker     ▇▇▇▇▇▇ 5,000`."""
        count, most = self._counts[number], max([*self._counts, 1])
        mark = "●" if number in self._selected else "○"
        prefix = f"{mark} {number:>{len(str(len(self._names) - 1))}} "
        suffix = f" {count:>{len(f'{most:,}')},}"
        room = max(1, width - len(prefix) - len(suffix))
        limit = max(room - 4, room * 2 // 3)
        name_width = names_width(self._names, limit)
        name = short_name(self._names, number, limit)
        padding = " " * (name_width - cell_width(name) + 1)
        bar_width = room - name_width - 1
        # A class with images always has a bar.
        shortest = min(bar_width, 1 if count else 0)
        filled = max(round(bar_width * count / most), shortest)
        style = "bold" if number in self._selected else ""
        return Content.assemble(
            (prefix + name + padding, style),
            ("▇" * filled + " " * (bar_width - filled), "$primary"),
            (suffix, style),
        )

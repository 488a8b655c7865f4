"""What of a data set is looked at: its splits to choose from, and its classes with their counts."""

from __future__ import annotations

from typing import ClassVar

from textual import events
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
from fmnist_tui.tui.widgets.picture import ground
from fmnist_tui.util.text import safe_text


class Head(Widget):
    """The data set's name and size, and its splits, one of them in brackets."""

    DEFAULT_CSS = "Head { height: 6; }"

    class Chosen(Message):
        """A split was clicked."""

        def __init__(self, split: str) -> None:
            super().__init__()
            self.split = split

    class Title(Message):
        """The name of the data set was clicked."""

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._browse: DatasetFilter | None = None
        self._on_disk = True

    def show(self, browse: DatasetFilter, on_disk: bool = True) -> None:
        """Show what is looked at, and whether its files are still there."""
        self._browse, self._on_disk = browse, on_disk
        self.refresh()

    def render(self) -> Content:
        browse, width = self._browse, self.content_size.width
        if browse is None:
            return Content("")
        dataset = browse.dataset
        info, images = dataset.info, browse.split.images
        warning = "  SYNTHETIC" if info.synthetic else ""
        title = info.title.removesuffix(" (SYNTHETIC)")
        tabs, counts = [Content("")], [Content("")]
        for name in SPLITS:
            here = name == browse.split.name
            style = "bold $accent" if here else "$foreground"
            tab = f"[{name}]" if here else name
            tabs.append(Content.styled(f"{tab:^{self._third}}", style))
            counts.append(Content.styled(f"{len(dataset.split(name)):^{self._third},}", style))
        colour = "colour" if images.shape[3] == 3 else "grey"
        lines = [
            Content.assemble(
                (safe_text(title, width - len(warning)), "bold $primary"),
                (warning, "bold $warning"),
            ),
            Content("").join(tabs),
            Content("").join(counts),
            Content(f"{len(info.classes)} classes · {images.shape[2]}×{images.shape[1]} {colour}"),
        ]
        if not self._on_disk:
            lines[-1] = Content.styled("files gone, kept in memory", "$warning")
        elif dataset.notes:
            many = "a note" if len(dataset.notes) == 1 else f"{len(dataset.notes)} notes"
            lines[-1] = Content.styled(f"{many} on what was read: i", "$warning")
        return Content("\n").join(lines)

    @property
    def _third(self) -> int:
        return self.content_size.width // len(SPLITS)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or self._browse is None:
            return
        if offset.y == 0:
            self.post_message(self.Title())
        elif offset.y in (1, 2) and offset.x < len(SPLITS) * self._third:
            self.post_message(self.Chosen(SPLITS[offset.x // self._third]))


class ClassList(Widget, can_focus=True):
    """The classes with their counts as bars; those in the filter have a mark."""

    DEFAULT_CSS = "ClassList { height: 1fr; min-height: 3; }"
    KEYS_TITLE = "Classes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="classes.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="classes.down"),
        Binding("home,pageup", "move(-1000)", "First class", show=False, id="classes.first"),
        Binding("end,pagedown", "move(1000)", "Last class", show=False, id="classes.last"),
        Binding("enter,space", "choose", "Mark this class", id="classes.toggle"),
    ]
    cursor: reactive[int] = reactive(0)

    class Toggled(Message):
        """A class is to be put into the filter or taken out."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._names: tuple[str, ...] = ()
        self._counts: tuple[int, ...] = ()
        self._chosen: frozenset[int] = frozenset()

    def show(self, browse: DatasetFilter) -> None:
        """Show the classes of the split that is looked at, and which are chosen."""
        self._names = tuple(safe_text(name) for name in browse.classes)
        self._counts, self._chosen = browse.counts, browse.selected
        self.cursor = self.validate_cursor(self.cursor)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._names)

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(len(self._names) - 1, cursor))

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_choose(self) -> None:
        if self._names:
            self.post_message(self.Toggled(self.cursor))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        number = self._first + offset.y if offset is not None else len(self._names)
        if number < len(self._names):
            self.cursor = number
            self.action_choose()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.cursor += 1

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.cursor -= 1

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    @property
    def _first(self) -> int:
        """The class on the first line: the cursor is always to be seen."""
        room = max(1, self.size.height)
        return max(0, min(self.cursor - room // 2, len(self._names) - room))

    def render_line(self, y: int) -> Strip:
        style, width = self.visual_style, self.size.width
        number = self._first + y
        if number >= len(self._names):
            return Strip.blank(width, ground(style.rich_style))
        if number == self.cursor and self.has_focus:
            style += Style(reverse=True)
        line = class_line(number, self._names, self._counts, number in self._chosen, width)
        strip = Strip(Content.assemble(*line).render_segments(style))
        return strip.adjust_cell_length(width, style.rich_style)


def class_line(
    number: int, names: tuple[str, ...], counts: tuple[int, ...], chosen: bool, width: int
) -> list[tuple[str, str]]:
    """`● 7 Sneaker     ▇▇▇▇▇▇ 5,000` in so many cells, as parts with their styles."""
    most = max([*counts, 1])
    mark = "● " if chosen else "○ "
    place = f"{number:>{len(str(len(names) - 1))}} "
    figure = f" {counts[number]:>{len(f'{most:,}')},}"
    room = max(1, width - len(mark) - len(place) - len(figure))
    longest = max(Content(name).cell_length for name in names)
    for_name = min(longest, max(room - 4, room * 2 // 3))
    name = Content(names[number]).truncate(for_name, ellipsis=True)
    padding = " " * (for_name - name.cell_length + 1)
    long = room - for_name - 1
    filled = round(long * counts[number] / most)
    # A class that has pictures is never without a bar.
    filled = max(filled, min(long, 1 if counts[number] else 0))
    return [
        (mark + place + name.plain + padding, "bold" if chosen else ""),
        ("▇" * filled + " " * (long - filled), "$primary"),
        (figure, "bold" if chosen else ""),
    ]

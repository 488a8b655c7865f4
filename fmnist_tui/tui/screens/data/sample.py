"""One picture as large as it goes, as pixels or as numbers, and what can be counted of it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from fmnist_tui.data.browse import DARK, ImageStatistics
from fmnist_tui.render.cells import Row, Run, resize, to_grey
from fmnist_tui.tui.widgets.picture import PictureView, ground, strips
from fmnist_tui.util.text import safe_text

_BRIGHT = 128
# Columns for a picture of 28×28 at its largest and its numbers beside it.
_BOTH = 116
# Nothings are many, and would drown the rest.
_FAINT = (98, 98, 98)


class PixelValues(Widget):
    """A picture's pixels as numbers, each on its own grey, a screenful of rows of them."""

    DEFAULT_CSS = "PixelValues { height: 1fr; }"
    top: reactive[int] = reactive(0)

    def __init__(self) -> None:
        super().__init__()
        self._image: npt.NDArray[Any] | None = None

    def show(self, image: npt.NDArray[Any]) -> None:
        """Write the numbers of this picture."""
        self._image = image
        self.top = self.validate_top(self.top)
        self.refresh()

    def validate_top(self, top: int) -> int:
        rows = len(self._image) if self._image is not None else 0
        return max(0, min(rows - self.size.height, top))

    def on_resize(self) -> None:
        self.top = self.validate_top(self.top)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        base = self.visual_style.rich_style
        blank = ground(base)
        rows = len(self._image) if self._image is not None else 0
        # One line less above, as with the picture, which has a caption below.
        row = self.top + y - max(0, (height - rows - 1) // 2)
        if self._image is None or not 0 <= row < rows:
            return Strip.blank(width, blank)
        strip = strips((values_row(self._image, row, width),), base)[0]
        left = max(0, (width - strip.cell_length) // 2)
        return Strip.join([Strip.blank(left, blank), strip]).adjust_cell_length(width, blank)


class SampleView(Horizontal, can_focus=True):
    """A picture to look at closely, and its pixels as numbers: beside it where there is
    room for both, else in its place when they are asked for."""

    DEFAULT_CSS = """
    SampleView { height: 1fr;
        PictureView { width: 1fr; }
        PixelValues { width: 1fr; display: none; }
        &.-values PixelValues { display: block; }
        &.-values PictureView { display: none; }
        &.-values.-both PictureView { display: block; }
    }
    """
    KEYS_TITLE = "One picture"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Previous", id="sample.previous"),
        Binding("right,l", "step(1)", "Next", id="sample.next"),
        Binding("pageup", "step(-10)", "Ten back", show=False, id="sample.back"),
        Binding("pagedown", "step(10)", "Ten on", show=False, id="sample.on"),
        Binding("up,k", "scroll(-1)", "Values: up", show=False, id="sample.up"),
        Binding("down,j", "scroll(1)", "Values: down", show=False, id="sample.down"),
        Binding("v", "values", "Values", id="sample.values"),
    ]
    # None until somebody chooses: shown where they take no room from the picture.
    values: reactive[bool | None] = reactive(None)

    class Stepped(Message):
        """Another picture is to be shown: so many further on, or back."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def compose(self) -> ComposeResult:
        yield PictureView()
        yield PixelValues()

    def show(self, image: npt.NDArray[Any], caption: Content | str = "") -> None:
        """Show another picture."""
        self.query_one(PictureView).show(image, caption)
        self.query_one(PixelValues).show(image)

    @property
    def written(self) -> bool:
        """Whether the numbers are to be seen."""
        return self.has_class("-values")

    def action_step(self, by: int) -> None:
        self.post_message(self.Stepped(by))

    def action_values(self) -> None:
        self.values = not self.written

    def action_scroll(self, by: int) -> None:
        self.query_one(PixelValues).top += by

    def watch_values(self) -> None:
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        both = self.size.width >= _BOTH
        self.set_class(both if self.values is None else self.values, "-values")
        self.set_class(both, "-both")

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_step(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_step(-1)


def values_row(image: npt.NDArray[Any], row: int, width: int) -> Row:
    """A row of pixels as hexadecimal numbers on their own grey: two digits each where there
    is room, else the first; what does not fit is left out at the right."""
    pixels = to_grey(resize(image, max(image.shape[:2])))[row].tolist()
    digits = 2 if 2 * len(pixels) <= width else 1
    cells = []
    for value in pixels[: width // digits]:
        ink = (0, 0, 0) if value >= _BRIGHT else (255, 255, 255) if value else _FAINT
        cells.append(Run(f"{value:02x}"[:digits], ink, (value, value, value)))
    return tuple(cells)


class SampleNumbers(Widget):
    """What can be counted of a picture, in aligned lines, and its brightness as bars."""

    DEFAULT_CSS = "SampleNumbers { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._facts: list[tuple[str, str]] = []
        self._numbers: ImageStatistics | None = None

    def show(self, facts: list[tuple[str, str]], image: npt.NDArray[Any] | None) -> None:
        """Show facts (a name and what it is) and count the pixels; None for no picture."""
        self._facts = facts
        self._numbers = ImageStatistics.measure(image) if image is not None else None
        self.refresh()

    def render(self) -> Content:
        numbers, (width, height) = self._numbers, self.content_size
        if numbers is None:
            return Content("")
        facts = [
            *self._facts,
            ("pixels", f"{numbers.minimum}–{numbers.maximum}, mean {numbers.mean:.1f}"),
            ("dark", f"{100 * numbers.dark_share:.1f} % below {DARK}"),
        ]
        lines = [
            Content.assemble(
                (f"{name:<6} ", "$foreground-muted"), safe_text(value, max(1, width - 7))
            )
            for name, value in facts
        ]
        if height >= len(lines) + len(numbers.histogram):
            if height > len(lines) + len(numbers.histogram):
                lines.append(Content(""))
            lines += _shares(numbers.histogram, width)
        return Content("\n").join(lines)


def _shares(shares: tuple[float, ...], width: int) -> list[Content]:
    """A line for each range of brightness: its bounds, a bar, and per cent."""
    step = 256 // len(shares)
    room = max(1, width - 16)
    most = max(*shares, 1e-9)
    lines = []
    for number, share in enumerate(shares):
        bounds = f"{number * step:>3}–{number * step + step - 1:<3} "
        filled = max(round(room * share / most), 1 if share >= 0.005 else 0)
        bar = "▇" * filled
        lines.append(
            Content.assemble(
                (bounds, "$foreground-muted"),
                (f"{bar:<{room}}", "$primary"),
                f" {100 * share:4.0f} %",
            )
        )
    return lines

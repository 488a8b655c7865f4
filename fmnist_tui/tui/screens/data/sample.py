"""One image in detail: as pixels, as numbers, and its statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy.typing as npt
from textual import events, getters, on
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
from fmnist_tui.tui.widgets.image_view import ImageView, background, to_strips
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text

_BRIGHT = 128
# Columns needed for a 28×28 image at full size with its numbers beside it.
_BOTH_WIDTH = 116
# Zeros are dim, so that the other numbers stand out.
_ZERO_COLOUR = (98, 98, 98)


class PixelValues(Widget):
    """An image's pixels as numbers, each on its own grey; scrolls by rows."""

    DEFAULT_CSS = "PixelValues { height: 1fr; }"
    top: reactive[int] = reactive(0)
    _image: npt.NDArray[Any] | None = None

    def show(self, image: npt.NDArray[Any]) -> None:
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
        blank = background(base)
        rows = len(self._image) if self._image is not None else 0
        # One line higher, like the image, which has a caption below.
        row = self.top + y - max(0, (height - rows - 1) // 2)
        if self._image is None or not 0 <= row < rows:
            return Strip.blank(width, blank)
        strip = to_strips((values_row(self._image, row, width),), base)[0]
        left = max(0, (width - strip.cell_length) // 2)
        return Strip.join([Strip.blank(left, blank), strip]).adjust_cell_length(width, blank)


class SampleView(Horizontal, can_focus=True):
    """One image and its pixel values: side by side if both fit, else the one or the other."""

    DEFAULT_CSS = """
    SampleView { height: 1fr;
        ImageView { width: 1fr; }
        PixelValues { width: 1fr; display: none; }
        &.-values PixelValues { display: block; }
        &.-values ImageView { display: none; }
        &.-values.-both ImageView { display: block; }
    }
    """
    KEYS_TITLE = "One image"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Previous", id="sample.previous"),
        Binding("right,l", "step(1)", "Next", id="sample.next"),
        Binding("pageup", "step(-10)", "Ten back", show=False, id="sample.back"),
        Binding("pagedown", "step(10)", "Ten forward", show=False, id="sample.on"),
        Binding("up,k", "scroll(-1)", "Values: up", show=False, id="sample.up"),
        Binding("down,j", "scroll(1)", "Values: down", show=False, id="sample.down"),
        Binding("v", "values", "Values", id="sample.values"),
    ]
    # None until the user chooses: shown if both fit.
    values: reactive[bool | None] = reactive(None)

    class SampleStepped(Message):
        """Asks for another image: `by` images forward, or back."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    image_view = getters.query_one(ImageView)
    pixel_values = getters.query_one(PixelValues)

    def compose(self) -> ComposeResult:
        yield ImageView()
        yield PixelValues()

    def show(self, image: npt.NDArray[Any], caption: Content) -> None:
        self.image_view.show(image, caption)
        self.pixel_values.show(image)

    def action_step(self, by: int) -> None:
        self.post_message(self.SampleStepped(by))

    def action_values(self) -> None:
        self.values = not self.has_class("-values")

    def action_scroll(self, by: int) -> None:
        self.pixel_values.top += by

    def watch_values(self) -> None:
        self.on_resize()

    def on_resize(self) -> None:
        both = self.size.width >= _BOTH_WIDTH
        self.set_class(both if self.values is None else self.values, "-values")
        self.set_class(both, "-both")

    @on(events.MouseScrollDown)
    @on(events.MouseScrollUp)
    def _scroll(self, event: events.MouseEvent) -> None:
        event.stop()
        self.action_step(1 if isinstance(event, events.MouseScrollDown) else -1)


def values_row(image: npt.NDArray[Any], row: int, width: int) -> Row:
    """A row of pixels as hexadecimal numbers, cut at the right; only the first digit of each
    if two do not fit."""
    pixels = to_grey(resize(image, max(image.shape[:2])))[row].tolist()
    digits = 2 if 2 * len(pixels) <= width else 1
    cells = []
    for value in pixels[: width // digits]:
        ink = (0, 0, 0) if value >= _BRIGHT else (255, 255, 255) if value else _ZERO_COLOUR
        cells.append(Run(f"{value:02x}"[:digits], ink, (value, value, value)))
    return tuple(cells)


class SampleNumbers(Widget):
    """Facts and pixel statistics of an image, and its histogram if there is room."""

    DEFAULT_CSS = "SampleNumbers { height: 1fr; }"
    _facts: Sequence[tuple[str, str]] = ()
    _statistics: ImageStatistics | None = None

    def show(self, facts: Sequence[tuple[str, str]], image: npt.NDArray[Any] | None) -> None:
        """Show facts (name and value) and the image's statistics; None for no image."""
        self._facts = facts
        self._statistics = ImageStatistics.measure(image) if image is not None else None
        self.refresh()

    def render(self) -> Content:
        statistics, (width, height) = self._statistics, self.content_size
        if statistics is None:
            return Content("")
        value_width = max(1, width - 7)
        extremes = f"{statistics.minimum}–{statistics.maximum}"
        facts = [
            *self._facts,
            ("pixels", f"{extremes}, mean {statistics.mean:.1f}"),
            ("dark", f"{format_percent(statistics.dark_share, 1)} below {DARK}"),
        ]
        lines = [
            Content.assemble((f"{name:<6} ", "$foreground-muted"), safe_text(value, value_width))
            for name, value in facts
        ]
        spare = height - len(lines) - len(statistics.histogram)
        if spare >= 0:
            lines += [Content("")] * min(spare, 1)
            lines += _histogram_lines(statistics.histogram, width)
        return Content("\n").join(lines)


def _histogram_lines(shares: tuple[float, ...], width: int) -> Iterator[Content]:
    """A line for each range of brightness: its bounds, a bar, and its share in percent."""
    step = 256 // len(shares)
    bar_width = max(1, width - 16)
    most = max(*shares, 1e-9)
    for low, share in zip(range(0, 256, step), shares, strict=True):
        filled = max(round(bar_width * share / most), 1 if share >= 0.005 else 0)
        yield Content.assemble(
            (f"{low:>3}–{low + step - 1:<3} ", "$foreground-muted"),
            (f"{'▇' * filled:<{bar_width}}", "$primary"),
            f" {100 * share:4.0f} %",
        )

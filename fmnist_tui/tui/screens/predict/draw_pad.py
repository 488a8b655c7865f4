"""A pad to draw on by mouse or keyboard, as small as the images that a model sees."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from fmnist_tui.config.dataset_catalog import IMAGE_SIDE
from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.widgets.image_view import to_strips

Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]

_BRUSH_RADIUS = 1.6
# An image of the model's own size would be used as it is. An enlarged one is cropped and
# centred like any other.
_ENLARGEMENT = 4
# The canvas takes the largest of these widths, in cells, that fits.
_WIDTHS = (2 * IMAGE_SIDE, IMAGE_SIDE, 20, IMAGE_SIDE // 2)
_RIGHT_BUTTON = 3
_HELP = (
    "mouse draws, right erases",
    "arrows move the pen",
    "space lowers or lifts it",
    "x erases, backspace clears",
)


def _draw_stroke(pixels: Pixels, start: Point, end: Point, erase: bool) -> Pixels:
    """The pixels with a line drawn or erased by a soft brush."""
    # The eraser is wider: otherwise it would leave the soft edges of a stroke.
    radius = 2 * _BRUSH_RADIUS if erase else _BRUSH_RADIUS
    # Full strength up to half of the radius, then falling to zero.
    strength = np.clip(2 * (1 - _distances(start, end) / radius), 0, 1)
    ink = np.rint(255 * strength).astype(np.uint8)
    return np.minimum(pixels, 255 - ink) if erase else np.maximum(pixels, ink)


def _distances(start: Point, end: Point) -> npt.NDArray[np.float64]:
    """The distance of every pixel's centre from a line."""
    centres = np.arange(IMAGE_SIDE) + 0.5
    x, y = centres - start[0], centres[:, None] - start[1]
    across, down = end[0] - start[0], end[1] - start[1]
    length = across * across + down * down
    along = np.clip((x * across + y * down) / length, 0, 1) if length else 0.0
    return np.asarray(np.hypot(x - along * across, y - along * down))


class DrawPad(Widget, can_focus=True):
    """A canvas with a pen. Posts `DrawingChanged` after each stroke that changes it."""

    ALLOW_SELECT = False
    KEYS_TITLE = "Pad"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Pen left", show=False, id="pad.left"),
        Binding("right,l", "move(1, 0)", "Pen right", show=False, id="pad.right"),
        Binding("up,k", "move(0, -1)", "Pen up", show=False, id="pad.up"),
        Binding("down,j", "move(0, 1)", "Pen down", show=False, id="pad.down"),
        Binding("space", "toggle_pen", "Lower or lift the pen", id="pad.pen"),
        Binding("x", "erase", "Erase", id="pad.rub"),
        Binding("backspace,delete", "clear", "Clear", id="pad.clear"),
    ]
    renderer: reactive[str] = reactive("halfblock")
    _pen = reactive((IMAGE_SIDE // 2, IMAGE_SIDE // 2))
    _is_pen_down = reactive(False)

    class DrawingChanged(Message):
        """The canvas has changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        # Light strokes on black. Points on it are in pixels from the upper left corner.
        self._pixels: Pixels = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint8)
        # Where the mouse was last while a button is pressed.
        self._mouse: Point | None = None
        self._is_erasing = False
        self._cache: tuple[object, list[Strip]] = (None, [])

    @property
    def is_blank(self) -> bool:
        return not self._pixels.any()

    def image(self) -> Pixels:
        """The drawing as an image to predict."""
        return np.kron(self._pixels, np.ones((_ENLARGEMENT, _ENLARGEMENT), np.uint8))

    # -- keys -----------------------------------------------------------------------------

    def action_move(self, across: int, down: int) -> None:
        start = self._pen_point
        x, y = self._pen
        self._pen = min(IMAGE_SIDE - 1, max(0, x + across)), min(IMAGE_SIDE - 1, max(0, y + down))
        if self._is_pen_down:
            self._stroke(start, self._pen_point)

    def action_toggle_pen(self) -> None:
        self._is_pen_down = not self._is_pen_down
        if self._is_pen_down:
            self._stroke(self._pen_point, self._pen_point)

    def action_erase(self) -> None:
        self._is_pen_down = False
        self._stroke(self._pen_point, self._pen_point, erase=True)

    def action_clear(self) -> None:
        self._is_pen_down = False
        self._set_pixels(np.zeros_like(self._pixels))

    @property
    def _pen_point(self) -> Point:
        """The centre of the pixel under the pen."""
        return self._pen[0] + 0.5, self._pen[1] + 0.5

    # -- mouse ----------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._is_erasing = event.button == _RIGHT_BUTTON or event.shift
        self._mouse = self._mouse_point(event)
        self._stroke(self._mouse, self._mouse, erase=self._is_erasing)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._mouse is not None:
            start, self._mouse = self._mouse, self._mouse_point(event)
            self._stroke(start, self._mouse, erase=self._is_erasing)

    def on_mouse_up(self) -> None:
        self.release_mouse()
        self._mouse = None

    def _mouse_point(self, event: events.MouseEvent) -> Point:
        """The point on the canvas at the centre of the cell under the mouse."""
        offset = event.get_content_offset_capture(self)
        left, columns = self._layout_canvas()
        scale = IMAGE_SIDE / columns
        return (offset.x - left + 0.5) * scale, (2 * offset.y + 1) * scale

    def _stroke(self, start: Point, end: Point, *, erase: bool = False) -> None:
        self._set_pixels(_draw_stroke(self._pixels, start, end, erase))

    def _set_pixels(self, pixels: Pixels) -> None:
        if not np.array_equal(pixels, self._pixels):
            self._pixels = pixels
            self._cache = (None, [])
            self.refresh()
            self.post_message(self.DrawingChanged())

    # -- rendering ------------------------------------------------------------------------

    def _layout_canvas(self) -> tuple[int, int]:
        """The canvas's first column and its width in cells."""
        width, height = self.size
        fitting = (size for size in _WIDTHS if size <= width and size // 2 <= height)
        columns = next(fitting, _WIDTHS[-1])
        return max(0, (width - columns) // 2), columns

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.visual_style.rich_style
        left, columns = self._layout_canvas()
        rows = columns // 2
        if y >= rows:
            pen = f"pen {'down' if self._is_pen_down else 'up'} at {self._pen[0]}, {self._pen[1]}"
            text = "".join((pen, *_HELP)[y - rows : y - rows + 1])
            return Strip([Segment(text, base)]).adjust_cell_length(width, base)
        strip = self._canvas_lines(columns, base)[y]
        if self.has_focus:
            strip = self._add_pen(strip, y, columns)
        return Strip.join([Strip.blank(left, base), strip]).adjust_cell_length(width, base)

    def _canvas_lines(self, columns: int, base: Style) -> list[Strip]:
        key = (columns, self.renderer, base)
        if self._cache[0] != key:
            rows = to_strips(draw_image(self._pixels, self.renderer, columns), base)
            self._cache = (key, [strip.adjust_cell_length(columns, base) for strip in rows])
        return self._cache[1]

    def _add_pen(self, strip: Strip, y: int, columns: int) -> Strip:
        x, row = (int(part * columns / IMAGE_SIDE) for part in self._pen_point)
        if row // 2 != y:
            return strip
        accent = self.app.theme_variables["accent"][:7]
        style = Style(color=accent, bold=True, reverse=self._is_pen_down)
        pen = Strip([Segment("●" if self._is_pen_down else "+", style)], 1)
        return Strip.join([strip.crop(0, x), pen, strip.crop(x + 1)])

"""A pad to draw on, by mouse or by keys, as small as what a model sees."""

from __future__ import annotations

from typing import ClassVar

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
from fmnist_tui.tui.screens.predict.drawing import DrawingCanvas, Pixels
from fmnist_tui.tui.widgets.picture import known_renderer, strips

# Cells that the canvas may take across, the largest that fits.
SIZES = (2 * IMAGE_SIDE, IMAGE_SIDE, 20, IMAGE_SIDE // 2)
RIGHT = 3
_HELP = (
    "mouse draws, right rubs out",
    "arrows move the pen",
    "space lowers or lifts it",
    "x rubs out, backspace clears",
)


class DrawPad(Widget, can_focus=True):
    """A canvas with a pen. It says `Drawn` whenever a stroke has changed it."""

    ALLOW_SELECT = False
    KEYS_TITLE = "Pad"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Pen left", show=False, id="pad.left"),
        Binding("right,l", "move(1, 0)", "Pen right", show=False, id="pad.right"),
        Binding("up,k", "move(0, -1)", "Pen up", show=False, id="pad.up"),
        Binding("down,j", "move(0, 1)", "Pen down", show=False, id="pad.down"),
        Binding("space", "pen", "Lower or lift the pen", id="pad.pen"),
        Binding("x", "rub", "Rub out", id="pad.rub"),
        Binding("backspace,delete", "clear", "Clear", id="pad.clear"),
    ]
    renderer: reactive[str] = reactive("halfblock")

    class Drawn(Message):
        """The drawing is another."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._canvas = DrawingCanvas()
        self._pen = (IMAGE_SIDE // 2, IMAGE_SIDE // 2)
        self.lowered = False
        self._last: tuple[float, float] | None = None
        self._rubbing = False
        self._drawn: tuple[object, list[Strip]] = (None, [])

    def validate_renderer(self, renderer: str) -> str:
        return known_renderer(renderer)

    @property
    def is_blank(self) -> bool:
        return self._canvas.is_blank

    def picture(self) -> Pixels:
        """The drawing as a picture to be asked about."""
        return self._canvas.picture()

    # -- keys -----------------------------------------------------------------------------

    def action_move(self, across: int, down: int) -> None:
        before = self._under_pen()
        x, y = self._pen
        self._pen = min(IMAGE_SIDE - 1, max(0, x + across)), min(IMAGE_SIDE - 1, max(0, y + down))
        if self.lowered:
            self._stroke(before, self._under_pen(), rub=False)
        self.refresh()

    def action_pen(self) -> None:
        self.lowered = not self.lowered
        if self.lowered:
            self._stroke(self._under_pen(), self._under_pen(), rub=False)
        self.refresh()

    def action_rub(self) -> None:
        self.lowered = False
        self._stroke(self._under_pen(), self._under_pen(), rub=True)
        self.refresh()

    def action_clear(self) -> None:
        self.lowered = False
        if not self.is_blank:
            self._canvas.clear()
            self._changed()
        self.refresh()

    def _under_pen(self) -> tuple[float, float]:
        return self._pen[0] + 0.5, self._pen[1] + 0.5

    # -- mouse ----------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._rubbing = event.button == RIGHT or event.shift
        self._last = self._place(event)
        self._stroke(self._last, self._last, rub=self._rubbing)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._last is not None:
            place = self._place(event)
            self._stroke(self._last, place, rub=self._rubbing)
            self._last = place

    def on_mouse_up(self) -> None:
        self.release_mouse()
        self._last = None

    def _place(self, event: events.MouseEvent) -> tuple[float, float]:
        """The place on the canvas in the middle of the cell that the mouse is over."""
        offset = event.get_content_offset_capture(self)
        left, columns = self._frame()
        scale = IMAGE_SIDE / columns
        return (offset.x - left + 0.5) * scale, (2 * offset.y + 1) * scale

    def _stroke(self, start: tuple[float, float], end: tuple[float, float], *, rub: bool) -> None:
        if self._canvas.stroke(start, end, rub=rub):
            self._changed()

    def _changed(self) -> None:
        self._drawn = (None, [])
        self.refresh()
        self.post_message(self.Drawn())

    # -- drawing --------------------------------------------------------------------------

    def _frame(self) -> tuple[int, int]:
        """Where the canvas begins and how many cells it is wide."""
        width, height = self.size
        fits = (size for size in SIZES if size <= width and size // 2 <= height)
        columns = next(fits, SIZES[-1])
        return max(0, (width - columns) // 2), columns

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.visual_style.rich_style
        left, columns = self._frame()
        rows = columns // 2
        if y >= rows:
            return Strip([Segment(self._told(y - rows), base)]).adjust_cell_length(width, base)
        strip = self._canvas_lines(columns, base)[y]
        if self.has_focus:
            strip = self._with_pen(strip, y, columns)
        return Strip.join([Strip.blank(left, base), strip]).adjust_cell_length(width, base)

    def _canvas_lines(self, columns: int, base: Style) -> list[Strip]:
        wanted = (columns, self.renderer, base)
        if self._drawn[0] != wanted:
            rows = draw_image(self._canvas.pixels, self.renderer, columns)
            drawn = [strip.adjust_cell_length(columns, base) for strip in strips(rows, base)]
            self._drawn = (wanted, drawn)
        return self._drawn[1]

    def _with_pen(self, strip: Strip, y: int, columns: int) -> Strip:
        x, row = (int(part * columns / IMAGE_SIDE) for part in self._under_pen())
        if row // 2 != y:
            return strip
        accent = self.app.theme_variables["accent"][:7]
        style = Style(color=accent, bold=True, reverse=self.lowered)
        pen = Strip([Segment("●" if self.lowered else "+", style)], 1)
        return Strip.join([strip.crop(0, x), pen, strip.crop(x + 1)])

    def _told(self, line: int) -> str:
        """What stands below the canvas, as far as there is room."""
        state = "down" if self.lowered else "up"
        lines = (f"pen {state} at {self._pen[0]}, {self._pen[1]}", *_HELP)
        return lines[line] if line < len(lines) else ""

"""A pad to draw on by mouse or keyboard, as small as the images that a model sees."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from fmnist_tui.config.dataset_catalog import IMAGE_SIDE
from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.predict.drawing import BRUSHES, Drawing, Pixels, Point
from fmnist_tui.tui.screens.predict.pad_tools import (
    DRAW,
    ERASE,
    FILL,
    PadTool,
    lay_out_tools,
    pad_tools,
    tool_at,
)
from fmnist_tui.tui.theme import text_colour
from fmnist_tui.tui.widgets.image_view import to_strips

# The canvas takes the largest of these widths, in cells, that fits.
_WIDTHS = (2 * IMAGE_SIDE, IMAGE_SIDE, 20, IMAGE_SIDE // 2)
_RIGHT_BUTTON = 3
_HELP = ("arrows move the pen", "{pad.pen} lowers it or lifts it")


class DrawPad(Widget, can_focus=True):
    """A canvas with a pen. Posts `DrawingChanged` after each stroke that changes it."""

    ALLOW_SELECT = False
    KEYS_TITLE = "Pad"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Pen left", show=False, id="pad.left"),
        Binding("right,l", "move(1, 0)", "Pen right", show=False, id="pad.right"),
        Binding("up,k", "move(0, -1)", "Pen up", show=False, id="pad.up"),
        Binding("down,j", "move(0, 1)", "Pen down", show=False, id="pad.down"),
        Binding("space", "use_tool", "Pen down/up", id="pad.pen"),
        Binding("x", "tool('erase')", "Erase", id="pad.rub"),
        Binding("f", "tool('fill')", "Fill", id="pad.fill"),
        Binding("plus,equals_sign", "brush(1)", "Thicker", id="pad.thicker"),
        Binding("minus", "brush(-1)", "Thinner", show=False, id="pad.thinner"),
        Binding("u,ctrl+z", "undo", "Undo", id="pad.undo"),
        Binding("i,escape", "screen.toggle_pad", "Files", id="pad.files"),
        Binding("backspace,delete", "clear", "Clear", id="pad.clear"),
    ]
    renderer: reactive[str] = reactive("halfblock")
    _pen = reactive((IMAGE_SIDE // 2, IMAGE_SIDE // 2))
    _is_pen_down = reactive(False)
    _tool = reactive(DRAW)
    _brush = reactive(1)
    # What an action could not do.
    _note = reactive("")

    class DrawingChanged(Message):
        """The canvas has changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._drawing = Drawing()
        # Where the mouse was last while a button is pressed.
        self._mouse: Point | None = None
        self._is_erasing = False
        self._cache: tuple[object, list[Strip]] = (None, [])

    @property
    def is_blank(self) -> bool:
        return self._drawing.is_blank

    def image(self) -> Pixels:
        """The drawing as an image to predict."""
        return self._drawing.image()

    # -- tools ----------------------------------------------------------------------------

    def action_tool(self, tool: str) -> None:
        """Choose a tool; the one that is chosen already gives way to the pen."""
        self._note, self._is_pen_down = "", False
        self._tool = DRAW if tool == self._tool else tool

    def action_brush(self, step: int) -> None:
        self._note = ""
        self._brush = min(len(BRUSHES) - 1, max(0, self._brush + step))

    def action_undo(self) -> None:
        note = self._drawing.undo()
        if isinstance(note, tuple):
            self._pen, self._is_pen_down = note
            self._changed()
        else:
            self._note = "nothing to undo"

    def action_clear(self) -> None:
        self._remember()
        self._is_pen_down = False
        self._drawing.clear()
        self._changed()

    def _fill(self, point: Point) -> None:
        self._remember()
        if self._drawing.fill(point):
            self._changed()
        else:
            self._note = "nothing to fill here"

    def _stroke(self, start: Point, end: Point, *, erase: bool) -> None:
        before = self._drawing.pixels
        self._drawing.stroke(start, end, self._brush, erase=erase)
        if not np.array_equal(before, self._drawing.pixels):
            self._changed()

    def _remember(self) -> None:
        """Let the next undo return to this state."""
        self._drawing.remember((self._pen, self._is_pen_down))

    def _changed(self) -> None:
        self._note = ""
        self._cache = (None, [])
        self.refresh()
        self.post_message(self.DrawingChanged())

    # -- keys -----------------------------------------------------------------------------

    def action_move(self, across: int, down: int) -> None:
        start = self._pen_point
        if self._is_pen_down:
            self._remember()
        x, y = self._pen
        self._pen = min(IMAGE_SIDE - 1, max(0, x + across)), min(IMAGE_SIDE - 1, max(0, y + down))
        if self._is_pen_down:
            self._stroke(start, self._pen_point, erase=self._tool == ERASE)

    def action_use_tool(self) -> None:
        if self._tool == FILL:
            self._fill(self._pen_point)
            return
        if not self._is_pen_down:
            self._remember()
            self._stroke(self._pen_point, self._pen_point, erase=self._tool == ERASE)
        self._is_pen_down = not self._is_pen_down

    @property
    def _pen_point(self) -> Point:
        """The centre of the pixel under the pen."""
        return self._pen[0] + 0.5, self._pen[1] + 0.5

    # -- mouse ----------------------------------------------------------------------------

    async def on_mouse_down(self, event: events.MouseDown) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and offset.y >= self._layout_canvas()[1] // 2:
            await self._click_tool(offset)
            return
        point = self._mouse_point(event)
        if self._tool == FILL and event.button != _RIGHT_BUTTON:
            self._fill(point)
            return
        self.capture_mouse()
        self._remember()
        self._is_erasing = event.button == _RIGHT_BUTTON or event.shift or self._tool == ERASE
        self._mouse = point
        self._stroke(point, point, erase=self._is_erasing)

    async def _click_tool(self, offset: Offset) -> None:
        lines = self._tool_lines()
        y = offset.y - self._layout_canvas()[1] // 2
        tool = tool_at(lines[y], offset.x) if y < len(lines) else None
        if tool is not None and tool.action:
            await self.run_action(tool.action)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._mouse is not None:
            start, self._mouse = self._mouse, self._mouse_point(event)
            self._stroke(start, self._mouse, erase=self._is_erasing)

    def on_mouse_up(self) -> None:
        self.release_mouse()
        self._mouse = None

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_brush(1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_brush(-1)

    def _mouse_point(self, event: events.MouseEvent) -> Point:
        """The point on the canvas at the centre of the cell under the mouse."""
        offset = event.get_content_offset_capture(self)
        left, columns = self._layout_canvas()
        scale = IMAGE_SIDE / columns
        return (offset.x - left + 0.5) * scale, (2 * offset.y + 1) * scale

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
            return self._tool_strip(y - rows, base).adjust_cell_length(width, base)
        strip = self._canvas_lines(columns, base)[y]
        if self.has_focus:
            strip = self._add_pen(strip, y, columns)
        return Strip.join([Strip.blank(left, base), strip]).adjust_cell_length(width, base)

    def _tool_lines(self) -> list[list[tuple[int, PadTool]]]:
        return lay_out_tools(pad_tools(self._tool, self._brush), self.size.width)

    def _tool_strip(self, line: int, base: Style) -> Strip:
        """A line below the canvas: tools, then the state of the pen, then how to move it."""
        tools = self._tool_lines()
        if line >= len(tools):
            pen = f"pen {'down' if self._is_pen_down else 'up'} at {self._pen[0]}, {self._pen[1]}"
            texts = (self._note or pen, *map(name_keys, _HELP))
            return Strip([Segment("".join(texts[line - len(tools) :][:1]), base)])
        parts, column = [], 0
        for left, tool in tools[line]:
            style = base + Style(bold=tool.is_current, reverse=tool.is_current)
            parts += [Segment(" " * (left - column), base), Segment(tool.text, style)]
            column = left + len(tool.text)
        return Strip(parts)

    def _canvas_lines(self, columns: int, base: Style) -> list[Strip]:
        key = (columns, self.renderer, base)
        if self._cache[0] != key:
            rows = to_strips(draw_image(self._drawing.pixels, self.renderer, columns), base)
            self._cache = (key, [strip.adjust_cell_length(columns, base) for strip in rows])
        return self._cache[1]

    def _add_pen(self, strip: Strip, y: int, columns: int) -> Strip:
        x, row = (int(part * columns / IMAGE_SIDE) for part in self._pen_point)
        if row // 2 != y:
            return strip
        accent = text_colour(self.app.theme_variables["accent"])
        style = Style(color=accent, bold=True, reverse=self._is_pen_down)
        pen = Strip([Segment("●" if self._is_pen_down else "+", style)], 1)
        return Strip.join([strip.crop(0, x), pen, strip.crop(x + 1)])

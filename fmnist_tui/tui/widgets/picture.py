"""Images on the screen: cells in short colour codes, and a widget that shows one image large.

A terminal writes a palette's colour in half the bytes of a free one, and equal neighbours
in one go. So greys are rounded to the palette's ramp of 26, other colours a little.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy.typing as npt
from rich.color import Color, ColorType
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from fmnist_tui.render.cells import Colour, Row
from fmnist_tui.render.renderers import draw_image, renderer_names

# No image is drawn larger than this many cells a pixel.
LARGEST = 2
# Channels that lie this close together make a grey.
_NEAR_GREY = 8
# From one grey of the palette to the next.
_RAMP = 10
# Colours that are not grey are rounded to multiples of this, so that neighbours merge.
_STEP = 8


def strips(rows: tuple[Row, ...], base: Style) -> list[Strip]:
    """Rows of a drawing as strips; cells without colours of their own are in `base`."""
    return [Strip(_segments(row, base)) for row in rows]


def largest(height: int, width: int, columns: int, rows: int) -> int:
    """How many cells the longer side of an image may take in a room of columns × rows."""
    longest = max(height, width)
    across = columns * longest // max(1, width)
    down = 2 * rows * longest // max(1, height)
    return max(1, min(across, down, LARGEST * longest))


def known_renderer(name: str) -> str:
    """A renderer by its name; the first there is for a name that is none."""
    return name if name in renderer_names() else renderer_names()[0]


class PictureView(Widget):
    """One image, as large as fits, in the middle, with a caption of one or more lines below."""

    DEFAULT_CSS = "PictureView { height: 1fr; }"
    renderer: reactive[str] = reactive("halfblock")

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._image: npt.NDArray[Any] | None = None
        self._caption = Content("")
        self._drawn: tuple[object, list[Strip]] = (None, [])

    def validate_renderer(self, renderer: str) -> str:
        return known_renderer(renderer)

    def show(self, image: npt.NDArray[Any] | None, caption: Content | str = "") -> None:
        """Draw an image, (height, width[, 1 or 3]) of 0 to 255; None leaves the caption alone."""
        self._image = image
        self._caption = Content(caption) if isinstance(caption, str) else caption
        self._drawn = (None, [])
        self.refresh()

    def render_line(self, y: int) -> Strip:
        drawn = self._lines()
        top = max(0, (self.size.height - len(drawn)) // 2)
        if top <= y < top + len(drawn):
            return drawn[y - top]
        return Strip.blank(self.size.width, ground(self.visual_style.rich_style))

    def _lines(self) -> list[Strip]:
        """The image and its caption, every line as wide as the widget."""
        style = self.visual_style
        wanted = (self.size, self.renderer, style)
        if self._drawn[0] == wanted:
            return self._drawn[1]
        width, height = self.size
        base = style.rich_style
        captions = [
            Strip(line.truncate(width, ellipsis=True).render_segments(style))
            for line in (self._caption.split("\n") if self._caption else [])
        ]
        lines: list[Strip] = []
        room = height - len(captions)
        if self._image is not None and width > 0 and room > 0:
            columns = largest(self._image.shape[0], self._image.shape[1], width, room)
            lines = strips(draw_image(self._image, self.renderer, columns), base)[:room]
        blank = ground(base)
        shown = [_centred(strip, width, blank) for strip in [*lines, *captions]]
        self._drawn = (wanted, shown)
        return shown


@lru_cache(maxsize=256)
def ground(base: Style) -> Style:
    """A style's background alone: what blanks are written in."""
    return Style.from_color(None, base.bgcolor)


def _centred(strip: Strip, width: int, blank: Style) -> Strip:
    left = max(0, (width - strip.cell_length) // 2)
    return Strip.join([Strip.blank(left, blank), strip]).adjust_cell_length(width, blank)


def _segments(row: Row, base: Style) -> list[Segment]:
    """A row's runs, in as few segments as their rounded colours allow."""
    found: list[tuple[str, Style]] = []
    for text, foreground, background in row:
        plain, style = _look(foreground, background, base)
        shown = " " * len(text) if plain else text
        if foreground is None and background is None and not text.isspace():
            style = base
        if found and found[-1][1] is style:
            found[-1] = (found[-1][0] + shown, style)
        else:
            found.append((shown, style))
    return [Segment(text, style) for text, style in found]


@lru_cache(maxsize=16384)
def _look(front: Colour | None, back: Colour | None, base: Style) -> tuple[bool, Style]:
    """A cell's style, and whether a blank will do: one colour is half as long as two."""
    if front is None:
        return False, ground(base) if back is None else _style(None, _shade(back), base)
    above, below = _shade(front), None if back is None else _shade(back)
    if below is not None and _alike(above, below):
        return True, _style(None, below, base)
    return False, _style(above, below, base)


@lru_cache(maxsize=8192)
def _style(front: Color | None, back: Color | None, base: Style) -> Style:
    if front is None:
        return Style.from_color(None, back)
    return base + Style.from_color(front, back)


def _alike(above: Color, below: Color) -> bool:
    """Whether the halves of a cell are the same, or neighbours on the ramp of greys."""
    if above.triplet is None or below.triplet is None or below.type != above.type:
        return False
    if above.type == ColorType.TRUECOLOR:
        return above.triplet == below.triplet
    return abs(above.triplet.red - below.triplet.red) <= _RAMP


@lru_cache(maxsize=8192)
def _shade(colour: Colour) -> Color:
    """The nearest colour that is short to write, or is shared by more neighbours.

    A palette's number is written as such because the colour's own triplet goes with it:
    without one, Textual would turn it into red, green and blue.
    """
    if max(colour) - min(colour) <= _NEAR_GREY:
        return _grey(round(sum(colour) / 3))
    red, green, blue = (min(255, round(level / _STEP) * _STEP) for level in colour)
    return Color.from_rgb(red, green, blue)


@lru_cache(maxsize=256)
def _grey(level: int) -> Color:
    if level < 4:
        number, level = 16, 0
    elif level > 246:
        number, level = 231, 255
    else:
        step = min(23, max(0, round((level - 8) / _RAMP)))
        number, level = 232 + step, 8 + _RAMP * step
    return Color(f"color({number})", ColorType.EIGHT_BIT, number, ColorTriplet(level, level, level))

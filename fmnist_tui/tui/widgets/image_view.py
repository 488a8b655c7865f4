"""Images on the screen: cells with short colour codes, and a widget that shows one image.

A palette colour takes half the bytes of an RGB colour, and equal neighbours share one code. So
greys are rounded to the palette's 26 greys, and other colours slightly.
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

# The largest magnification, in cells per pixel.
_MAX_SCALE = 2
# Colours whose channels differ by no more than this count as grey.
_NEAR_GREY = 8
# The distance between two greys of the palette.
_RAMP = 10
# Other colours are rounded to multiples of this, so that neighbours merge.
_STEP = 8


def to_strips(rows: tuple[Row, ...], base: Style) -> list[Strip]:
    """Rows of a drawing as strips; cells without colours have the style `base`."""
    return [Strip(_segments(row, base)) for row in rows]


def fit_image(height: int, width: int, columns: int, rows: int) -> int:
    """The number of cells for the longer side of an image in columns × rows."""
    longest = max(height, width)
    across = columns * longest // max(1, width)
    down = 2 * rows * longest // max(1, height)
    return max(1, min(across, down, _MAX_SCALE * longest))


def known_renderer(name: str) -> str:
    """The renderer's name, or the first renderer if the name is unknown."""
    return name if name in renderer_names() else renderer_names()[0]


class ImageView(Widget):
    """One image, as large as fits, centred, with a caption below."""

    DEFAULT_CSS = "ImageView { height: 1fr; }"
    renderer: reactive[str] = reactive("halfblock")

    _image: npt.NDArray[Any] | None = None
    _caption = Content("")
    _cache: tuple[object, list[Strip]] = (None, [])

    def validate_renderer(self, renderer: str) -> str:
        return known_renderer(renderer)

    def show(self, image: npt.NDArray[Any] | None, caption: Content | str = "") -> None:
        """Draw an image, (height, width[, 1 or 3]) of 0 to 255; None draws only the caption."""
        self._image = image
        self._caption = Content(caption) if isinstance(caption, str) else caption
        self._cache = (None, [])
        self.refresh()

    def render_line(self, y: int) -> Strip:
        lines = self._lines()
        top = max(0, (self.size.height - len(lines)) // 2)
        if top <= y < top + len(lines):
            return lines[y - top]
        return Strip.blank(self.size.width, background(self.visual_style.rich_style))

    def _lines(self) -> list[Strip]:
        """The image and its caption, every line as wide as the widget."""
        style = self.visual_style
        key = (self.size, self.renderer, style)
        if self._cache[0] == key:
            return self._cache[1]
        width, height = self.size
        base = style.rich_style
        captions = [
            Strip(line.truncate(width, ellipsis=True).render_segments(style))
            for line in (self._caption.split("\n") if self._caption else [])
        ]
        lines: list[Strip] = []
        space = height - len(captions)
        if self._image is not None and width > 0 and space > 0:
            columns = fit_image(self._image.shape[0], self._image.shape[1], width, space)
            lines = to_strips(draw_image(self._image, self.renderer, columns), base)[:space]
        blank = background(base)
        lines = [_centre(strip, width, blank) for strip in [*lines, *captions]]
        self._cache = (key, lines)
        return lines


@lru_cache(maxsize=256)
def background(base: Style) -> Style:
    """A style with the background only, for blanks."""
    return Style.from_color(None, base.bgcolor)


def _centre(strip: Strip, width: int, blank: Style) -> Strip:
    left = max(0, (width - strip.cell_length) // 2)
    return Strip.join([Strip.blank(left, blank), strip]).adjust_cell_length(width, blank)


def _segments(row: Row, base: Style) -> list[Segment]:
    """A row's runs, merged where their rounded colours are equal."""
    merged: list[tuple[str, Style]] = []
    for text, foreground, background in row:
        is_blank, style = _cell_style(foreground, background, base)
        if is_blank:
            text = " " * len(text)
        elif foreground is None and background is None and not text.isspace():
            style = base
        if merged and merged[-1][1] is style:
            merged[-1] = (merged[-1][0] + text, style)
        else:
            merged.append((text, style))
    return [Segment(text, style) for text, style in merged]


@lru_cache(maxsize=16384)
def _cell_style(front: Colour | None, back: Colour | None, base: Style) -> tuple[bool, Style]:
    """A cell's style, and whether a blank is enough: one colour takes half the bytes of two."""
    if front is None:
        return False, background(base) if back is None else _style(None, _short_colour(back), base)
    above, below = _short_colour(front), None if back is None else _short_colour(back)
    if below is not None and _are_similar(above, below):
        return True, _style(None, below, base)
    return False, _style(above, below, base)


@lru_cache(maxsize=8192)
def _style(front: Color | None, back: Color | None, base: Style) -> Style:
    if front is None:
        return Style.from_color(None, back)
    return base + Style.from_color(front, back)


def _are_similar(above: Color, below: Color) -> bool:
    """Whether the halves of a cell are equal, or neighbouring greys."""
    if above.triplet is None or below.triplet is None or below.type != above.type:
        return False
    if above.type == ColorType.TRUECOLOR:
        return above.triplet == below.triplet
    return abs(above.triplet.red - below.triplet.red) <= _RAMP


@lru_cache(maxsize=8192)
def _short_colour(colour: Colour) -> Color:
    """The nearest palette grey, or a rounded colour.

    A palette colour carries its RGB triplet: without it, Textual would convert it to RGB.
    """
    if max(colour) - min(colour) <= _NEAR_GREY:
        return _palette_grey(round(sum(colour) / 3))
    red, green, blue = (min(255, round(level / _STEP) * _STEP) for level in colour)
    return Color.from_rgb(red, green, blue)


@lru_cache(maxsize=256)
def _palette_grey(level: int) -> Color:
    if level < 4:
        number, level = 16, 0
    elif level > 246:
        number, level = 231, 255
    else:
        step = min(23, max(0, round((level - 8) / _RAMP)))
        number, level = 232 + step, 8 + _RAMP * step
    return Color(f"color({number})", ColorType.EIGHT_BIT, number, ColorTriplet(level, level, level))

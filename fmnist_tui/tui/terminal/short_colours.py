"""Colours in fewer bytes, for slow connections.

Most of the themes' colours are in the 256-colour palette of terminals, and `38;5;74` is half as
long as `38;2;95;175;215`.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color as RichColor
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from fmnist_tui.render.ansi import CUBE_LEVELS

# Without the first sixteen, which users redefine.
_NUMBERS: dict[tuple[int | None, ...], int] = {
    **{(level, level, level): 232 + at for at, level in enumerate(range(8, 248, 10))},
    **{
        (red, green, blue): 16 + 36 * r + 6 * g + b
        for r, red in enumerate(CUBE_LEVELS)
        for g, green in enumerate(CUBE_LEVELS)
        for b, blue in enumerate(CUBE_LEVELS)
    },
}


class ShortColours(LineFilter):
    """Replaces RGB colours by palette colours where they are equal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.style is None
            else Segment(segment.text, shorten(segment.style), segment.control)
            for segment in segments
        ]


@lru_cache(maxsize=4096)
def shorten(style: Style) -> Style:
    """The same style with palette colours where they are equal."""
    front, back = _short(style.color), _short(style.bgcolor)
    if front is style.color and back is style.bgcolor:
        return style
    return style + Style.from_color(front, back)


def _short(colour: RichColor | None) -> RichColor | None:
    if colour is None or colour.type is not ColorType.TRUECOLOR or colour.triplet is None:
        return colour
    # Equal up to rounding.
    near = (
        next((step for step in CUBE_LEVELS if abs(step - level) <= 1), None)
        for level in colour.triplet
    )
    number = _NUMBERS.get(colour.triplet) or _NUMBERS.get(tuple(near))
    if number is None:
        return colour
    return RichColor(colour.name, ColorType.EIGHT_BIT, number, colour.triplet)

"""Colours in as few bytes as say them: over a slow line every byte of a screen counts.

Most of the themes' colours are among the 256 that every terminal knows by number, and
`38;5;74` is half as long as `38;2;95;175;215`.
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

# The first sixteen are left out: people give these colours of their own.
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
    """The colours that have a number, by their number."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.style is None
            else Segment(segment.text, shortened(segment.style), segment.control)
            for segment in segments
        ]


@lru_cache(maxsize=4096)
def shortened(style: Style) -> Style:
    """The same style, its colours by number where they have one."""
    front, back = _short(style.color), _short(style.bgcolor)
    if front is style.color and back is style.bgcolor:
        return style
    return style + Style.from_color(front, back)


def _short(colour: RichColor | None) -> RichColor | None:
    if colour is None or colour.type is not ColorType.TRUECOLOR or colour.triplet is None:
        return colour
    number = _number(*colour.triplet)
    if number is None:
        return colour
    return RichColor(colour.name, ColorType.EIGHT_BIT, number, colour.triplet)


def _number(red: int, green: int, blue: int) -> int | None:
    """The number of a colour, or of one that differs by no more than rounding."""
    exact = _NUMBERS.get((red, green, blue))
    if exact is not None:
        return exact
    near = [
        next((step for step in CUBE_LEVELS if abs(step - level) <= 1), None)
        for level in (red, green, blue)
    ]
    return _NUMBERS.get((near[0], near[1], near[2]))

"""Formats rows of cells as lines with ANSI colour codes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

import numpy as np

from fmnist_tui.render.ascii_art import brightness_character
from fmnist_tui.render.cells import Colour, Row, Run, luma
from fmnist_tui.render.halfblock import HALF

Colours = Literal["truecolor", "256", "16", "none"]

CUBE_LEVELS = (0, 95, 135, 175, 215, 255)
_CUBE = [(red, green, blue) for red in CUBE_LEVELS for green in CUBE_LEVELS for blue in CUBE_LEVELS]
_GREYS = [(level, level, level) for level in range(8, 239, 10)]
# The sixteen colours as most terminals show them, the eight dark ones first.
_SIXTEEN = [(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205)]
_SIXTEEN += [(0, 205, 205), (229, 229, 229), (127, 127, 127), (255, 0, 0), (0, 255, 0)]
_SIXTEEN += [(255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255)]


def to_ansi(rows: Iterable[Row], colours: Colours) -> list[str]:
    """A string per row. Without colours, cells become characters of the same brightness."""
    if colours == "none":
        return ["".join(_to_characters(run) for run in runs) for runs in rows]
    return [_format_row(runs, colours) for runs in rows]


def _to_characters(run: Run) -> str:
    used = [colour for colour in (run.foreground, run.background) if colour is not None]
    if not used:
        return run.text
    # The half of a cell without a colour counts as dark.
    halves = 2 if run.text.startswith(HALF) else len(used)
    return brightness_character(float(luma(used).sum()) / halves) * len(run.text)


def _format_row(runs: Row, colours: Colours) -> str:
    parts: list[str] = []
    foreground: Colour | None = None
    background: Colour | None = None
    for run in runs:
        codes = []
        if run.foreground != foreground and not run.text.isspace():
            foreground = run.foreground
            codes.append(_code(foreground, colours, False))
        if run.background != background:
            background = run.background
            codes.append(_code(background, colours, True))
        if codes:
            parts.append(f"\x1b[{';'.join(codes)}m")
        parts.append(run.text)
    if foreground is not None or background is not None:
        parts.append("\x1b[0m")
    return "".join(parts)


@lru_cache(maxsize=4096)
def _code(colour: Colour | None, colours: Colours, is_background: bool) -> str:
    """The parameters of the escape code for a colour."""
    base = 40 if is_background else 30
    if colour is None:
        return str(base + 9)
    if colours == "truecolor":
        return f"{base + 8};2;" + ";".join(map(str, colour))
    if colours == "256":
        return f"{base + 8};5;{16 + _nearest(colour, _CUBE + _GREYS)}"
    number = _nearest(colour, _SIXTEEN)
    return str(base + number if number < 8 else base + 52 + number)


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    difference = np.array(palette, np.int64) - np.array(colour, np.int64)
    return int((difference**2).sum(axis=1).argmin())

"""The ways of drawing an image, by name."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from fmnist_tui.render import ascii_art, braille, halfblock
from fmnist_tui.render.cells import Row
from fmnist_tui.util.errors import UsageError, did_you_mean
from fmnist_tui.util.text import safe_text

_KINDS = {"halfblock": halfblock.draw, "braille": braille.draw, "ascii": ascii_art.draw}


def names() -> tuple[str, ...]:
    """The ways of drawing, the finest first."""
    return tuple(_KINDS)


def render(image: npt.NDArray[Any], kind: str, columns: int) -> tuple[Row, ...]:
    """(height, width[, 1 or 3]) of 0 to 255, in proportion, on `columns` cells by half as many."""
    if kind not in _KINDS:
        raise UsageError(
            f'there is no renderer "{safe_text(kind)}"{did_you_mean(kind, _KINDS)} '
            f"(there are {', '.join(_KINDS)})"
        )
    return _KINDS[kind](image, columns)

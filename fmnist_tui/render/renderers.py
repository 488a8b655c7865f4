"""The renderers of images, by name."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from fmnist_tui.render import ascii_art, braille, halfblock
from fmnist_tui.render.cells import Row
from fmnist_tui.util.errors import UsageError, did_you_mean
from fmnist_tui.util.text import safe_text

_RENDERERS = {"halfblock": halfblock.draw, "braille": braille.draw, "ascii": ascii_art.draw}


def renderer_names() -> tuple[str, ...]:
    """The names of the renderers, the best first."""
    return tuple(_RENDERERS)


def draw_image(image: npt.NDArray[Any], kind: str, columns: int) -> tuple[Row, ...]:
    """Draw (height, width[, 1 or 3]) of 0 to 255 on `columns` by at most half as many cells."""
    if kind not in _RENDERERS:
        raise UsageError(
            f'unknown renderer "{safe_text(kind)}"{did_you_mean(kind, _RENDERERS)} '
            f"(there are {', '.join(_RENDERERS)})"
        )
    return _RENDERERS[kind](image, columns)

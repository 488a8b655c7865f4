"""Two pixels a cell: the upper half in the foreground colour, the lower in the background."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.render.cells import Colour, Row, Run, resized, row

HALF = "▀"


def draw(image: npt.NDArray[Any], columns: int) -> tuple[Row, ...]:
    """On `columns` cells by half as many: 28 show 28×28 pixels one by one, in 14 rows."""
    small = resized(image, columns)
    pixels = np.broadcast_to(small, (*small.shape[:2], 3)).tolist()
    pixels += [[None] * small.shape[1]] * (len(pixels) % 2)
    return tuple(
        row(_cell(top, bottom) for top, bottom in zip(*pair, strict=True))
        for pair in zip(pixels[::2], pixels[1::2], strict=True)
    )


def _cell(top: list[int], bottom: list[int] | None) -> Run:
    upper = _colour(top)
    lower = None if bottom is None else _colour(bottom)
    # A space needs one colour only, and so often goes on with its neighbour.
    return Run(" ", None, upper) if upper == lower else Run(HALF, upper, lower)


def _colour(pixel: list[int]) -> Colour:
    red, green, blue = pixel
    return red, green, blue

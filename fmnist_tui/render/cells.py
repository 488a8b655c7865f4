"""Drawings as rows of runs of terminal cells, and the image operations behind them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]

_LUMA = np.array((0.299, 0.587, 0.114))


class Run(NamedTuple):
    """Neighbouring cells of the same colours; None is the terminal's own colour."""

    text: str
    foreground: Colour | None = None
    background: Colour | None = None


Row = tuple[Run, ...]


def merge_runs(cells: Iterable[Run]) -> Row:
    """The cells with neighbours of the same colours merged."""
    runs: list[Run] = []
    for cell in cells:
        if runs and runs[-1][1:] == cell[1:]:
            runs[-1] = runs[-1]._replace(text=runs[-1].text + cell.text)
        else:
            runs.append(cell)
    return tuple(runs)


def luma(colour: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The brightness of colours, 0 to 255; the last axis is red, green, blue."""
    return np.asarray(np.asarray(colour, np.float64) @ _LUMA)


def resize(image: npt.NDArray[Any], longest: int) -> Pixels:
    """Resize (height, width[, 1 or 3]) to (rows, columns, 1 or 3) with a longer side of `longest`.

    Every pixel is the mean of the area that it covers.
    """
    pixels = np.asarray(image, np.float64)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    height, width = (
        max(1, round(side * longest / max(pixels.shape[:2]))) for side in pixels.shape[:2]
    )
    down, across = _area_weights(pixels.shape[0], height), _area_weights(pixels.shape[1], width)
    mean = np.tensordot(np.tensordot(down, pixels, 1), across, ((1,), (1,))).swapaxes(1, 2)
    return np.clip(np.rint(mean), 0, 255).astype(np.uint8)


def to_grey(pixels: Pixels) -> Pixels:
    """Convert (rows, columns, 1 or 3) to (rows, columns)."""
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    return np.rint(luma(pixels)).astype(np.uint8)


def _area_weights(length: int, pieces: int) -> npt.NDArray[np.float64]:
    """(pieces, length): the share of each unit of the length in each piece."""
    edges = np.linspace(0, length, pieces + 1)
    units = np.arange(length)
    overlap = np.minimum(edges[1:, None], units + 1) - np.maximum(edges[:-1, None], units)
    return np.asarray(np.maximum(overlap, 0) * (pieces / length))

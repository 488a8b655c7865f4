"""Draws images with half blocks: two pixels per cell, in foreground and background colour."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.render.cells import Colour, Pixels, Row, Run, resize

HALF = "▀"
# Instead of a colour: nothing is drawn in this half of the cell.
_NONE = -1
_Codes = npt.NDArray[np.int64]


def draw(image: npt.NDArray[Any], columns: int) -> tuple[Row, ...]:
    """Draw on `columns` by half as many cells: 28 columns show 28×28 pixels in 14 rows."""
    codes = _codes(resize(image, columns))
    if len(codes) % 2:
        codes = np.vstack([codes, np.full_like(codes[:1], _NONE)])
    lower = codes[1::2]
    # A space needs one colour only, so that it can often be merged with its neighbour.
    upper = np.where(codes[::2] == lower, _NONE, codes[::2])
    return tuple(_row(*pair) for pair in zip(upper, lower, strict=True))


def _codes(pixels: Pixels) -> _Codes:
    """The colour of each pixel as one number, for fast comparison of rows."""
    red, green, blue = np.moveaxis(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), 2, 0)
    return np.asarray((red.astype(np.int64) << 16) | (green.astype(np.int64) << 8) | blue)


def _row(upper: _Codes, lower: _Codes) -> Row:
    edges = np.flatnonzero((np.diff(upper) != 0) | (np.diff(lower) != 0)) + 1
    starts = [0, *edges.tolist()]
    pairs = zip(upper[starts].tolist(), lower[starts].tolist(), strict=True)
    lengths = np.diff([*starts, len(upper)]).tolist()
    return tuple(
        Run((" " if above == _NONE else HALF) * length, _colour(above), _colour(below))
        for (above, below), length in zip(pairs, lengths, strict=True)
    )


@lru_cache(maxsize=4096)
def _colour(code: int) -> Colour | None:
    return None if code == _NONE else (code >> 16, code >> 8 & 255, code & 255)

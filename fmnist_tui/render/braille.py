"""Draws images with braille characters, eight dots per cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.render.cells import Row, Run, resize, to_grey

BLANK = 0x2800
# The bits of a cell's dots, by row and column of the dot.
DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
# Ordered dithering: neighbouring dots have different thresholds.
_THRESHOLDS = np.array(((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5)))


def draw(image: npt.NDArray[Any], columns: int) -> tuple[Row, ...]:
    """Draw on `columns` by half as many cells of 2×4 dots: 14 columns show 28×28 pixels."""
    pixels = to_grey(resize(image, columns * 2))
    rows, across = -(-pixels.shape[0] // 4), -(-pixels.shape[1] // 2)
    pixels = np.pad(pixels, ((0, rows * 4 - pixels.shape[0]), (0, across * 2 - pixels.shape[1])))
    tiles = np.tile(_THRESHOLDS, (rows, -(-across // 2)))[:, : across * 2]
    dots = pixels > (tiles + 0.5) * 16
    codes = (dots.reshape(rows, 4, across, 2) * np.array(DOT_BITS)[:, None, :]).sum(axis=(1, 3))
    return tuple((Run("".join(chr(BLANK + code) for code in line)),) for line in codes.tolist())

"""Draws images with characters of different density, for terminals without colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.render.cells import Row, Run, resize, to_grey

RAMP = " .:-=+*#%@"


def draw(image: npt.NDArray[Any], columns: int) -> tuple[Row, ...]:
    """Draw on `columns` by half as many cells, each for two pixels one above the other."""
    pixels = to_grey(resize(image, columns))
    if len(pixels) % 2:
        pixels = np.vstack((pixels, np.zeros_like(pixels[:1])))
    means = pixels.reshape(-1, 2, pixels.shape[1]).mean(axis=1)
    return tuple((Run("".join(map(brightness_character, row))),) for row in means.tolist())


def brightness_character(brightness: float) -> str:
    """The character for a brightness of 0 to 255."""
    return RAMP[min(int(brightness * len(RAMP) / 256), len(RAMP) - 1)]

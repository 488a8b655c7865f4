"""One character a cell, the denser the brighter: for terminals without colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.render.cells import Row, Run, grey, resized

RAMP = " .:-=+*#%@"


def draw(image: npt.NDArray[Any], columns: int) -> tuple[Row, ...]:
    """On `columns` characters by half as many; each stands for a pixel and the one below it."""
    pixels = grey(resized(image, columns))
    if len(pixels) % 2:
        pixels = np.vstack((pixels, np.zeros_like(pixels[:1])))
    means = pixels.reshape(-1, 2, pixels.shape[1]).mean(axis=1)
    return tuple((Run("".join(map(letter, means_of_row))),) for means_of_row in means.tolist())


def letter(brightness: float) -> str:
    """The character for a brightness of 0 to 255."""
    return RAMP[min(int(brightness * len(RAMP) / 256), len(RAMP) - 1)]

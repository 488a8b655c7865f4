"""Finding the object in a photograph, and whether it is lighter or darker than its background.

The background is estimated from the image's border: a plane, because light may be uneven, and
its noise, so that grain and JPEG artefacts are not taken for parts of the object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from fmnist_tui.data.images.pixels import Box, Plane

Mask = npt.NDArray[np.bool_]

MIN_BRIGHTNESS = 0.04
"""Pixels from this share of the peak on belong to the object: garments fade at their edges."""

MIN_CONTRAST = 2.0
MIN_PART_SHARE = 0.005
"""Parts with less than this share of the largest part's brightness are dust."""

_CELLS = 64
_SIGMAS = 5.0
_MAX_HALO = 0.6  # of a pixel of the model


@dataclass(frozen=True, slots=True, eq=False)
class ObjectBounds:
    """`light` is the object, light on 0; `dark` says that it is dark in the image itself.

    `box` (left, top, right, bottom) is None if nothing stands out.
    """

    light: Plane
    box: Box | None
    dark: bool


def find_object(grey: Plane, dark: bool | None, edge: int) -> ObjectBounds:
    """Find the object of a (height, width) image for a model that sees it `edge` pixels long.

    `dark` says whether it is darker than the background; None decides by the image.
    """
    background, noise = _estimate_background(grey)
    difference = grey - background
    if dark is None:
        dark = _is_dark(difference, noise, float(background.mean()))
    if dark:
        difference = -difference
    light = np.maximum(difference, 0)
    # Cells are means of many pixels: they have little noise, and parts are connected. The grain
    # of a compressed photograph is coarse: it fades with a cell's side, not with its area.
    cell = -(-max(grey.shape) // _CELLS)
    cells = np.asarray(Image.fromarray(difference).reduce(cell))
    noise_limit = _SIGMAS * noise / math.sqrt(cell)
    peak = float(cells.max())
    if peak < max(MIN_CONTRAST, noise_limit):
        return ObjectBounds(light, None, dark)
    parts = _remove_specks(cells, cells > max(MIN_BRIGHTNESS * peak, noise_limit))
    light = light * parts.repeat(cell, 0).repeat(cell, 1)[: grey.shape[0], : grey.shape[1]]
    box = _bounding_box(light > max(MIN_BRIGHTNESS * peak, _SIGMAS * noise))
    return ObjectBounds(light, box and _trim_halo(light, box, edge), dark)


def _estimate_background(grey: Plane) -> tuple[Plane, float]:
    """The plane that most border pixels lie on, and their deviation from it."""
    height, width = grey.shape
    rim = max(1, min(height, width) // 50)
    border = np.ones(grey.shape, bool)
    border[rim:-rim, rim:-rim] = False
    rows, columns = np.nonzero(border)
    values = grey[border].astype(np.float64)
    positions = np.stack(
        (np.ones(len(values)), rows / max(height - 1, 1), columns / max(width - 1, 1)), axis=1
    )
    plane = np.array((np.median(values), 0.0, 0.0))
    for _ in range(3):
        deviations = np.abs(values - positions @ plane)
        inliers = deviations <= max(3 * 1.4826 * float(np.median(deviations)), 1.0)
        if np.ptp(values[inliers]) == 0:
            plane = np.array((values[inliers][0], 0.0, 0.0))
            break
        plane = np.linalg.lstsq(positions[inliers], values[inliers], rcond=None)[0]
    noise = 1.4826 * float(np.median(np.abs(values - positions @ plane)))
    down = np.arange(height) / max(height - 1, 1)
    across = np.arange(width) / max(width - 1, 1)
    background = plane[0] + plane[1] * down[:, None] + plane[2] * across[None, :]
    return background.astype(np.float32), noise


def _is_dark(difference: Plane, noise: float, background: float) -> bool:
    """Whether the object is darker than the background, which decides if nothing stands out."""
    margin = max(_SIGMAS * noise, MIN_CONTRAST)
    lighter = float(np.maximum(difference - margin, 0).sum())
    darker = float(np.maximum(-difference - margin, 0).sum())
    return darker > lighter or (darker == lighter and background > 127)


def _remove_specks(cells: Plane, mask: Mask) -> Mask:
    """The mask, widened by one cell, without small parts."""
    labels = np.arange(1, mask.size + 1, dtype=np.int64).reshape(mask.shape) * mask
    while True:
        spread = _neighbourhood_maximum(labels) * mask
        if np.array_equal(spread, labels):
            break
        labels = spread
    weights = np.bincount(labels.ravel(), weights=(cells * mask).ravel())
    large = np.where(mask, weights[labels] >= MIN_PART_SHARE * weights.max(), False)
    return _neighbourhood_maximum(large.astype(np.int64)).astype(bool)


def _neighbourhood_maximum(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The maximum of each cell and its eight neighbours."""
    padded = np.pad(cells, 1)
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _bounding_box(mask: Mask) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _trim_halo(light: Plane, box: Box, edge: int) -> Box:
    """The box without the halo of a blurred outline.

    An enlarged image fades out beyond the true edge, where the brightness is half of its value
    one pixel of the model further in. A longer fade is not blur and stays.
    """
    left, top, right, bottom = box
    pixel = max(right - left, bottom - top) / edge

    def halo(profile: Plane) -> int:
        inside = profile[min(round(pixel), len(profile) - 1)]
        width = int(np.argmax(profile >= inside / 2))
        return width if width <= _MAX_HALO * pixel else 0

    part = light[top:bottom, left:right]
    across, down = part.max(axis=0), part.max(axis=1)
    left, right = left + halo(across), right - halo(across[::-1])
    return left, top + halo(down), right, bottom - halo(down[::-1])

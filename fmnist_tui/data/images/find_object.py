"""Where the object of a photograph is, and whether it is lighter or darker than its ground.

The ground is judged by the picture's border: a plane, so that light may fall unevenly,
and its noise, so that grain and JPEG's ripples are not taken for parts of the object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from fmnist_tui.data.images.pixels import Box, Plane

Mask = npt.NDArray[np.bool_]

FAINTEST = 0.04
"""From this share of the peak on a part belongs to the object: garments fade at their edges."""

LEAST_CONTRAST = 2.0
SPECK = 0.005
"""Parts that weigh less than this share of the heaviest part are dust."""

_CELLS = 64
_SIGMAS = 5.0
_BLUR = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class ObjectBounds:
    """`light` is the object on a ground of 0, `dark` whether it is dark in the picture itself.

    `box` (left, top, right, bottom) is None where nothing stands out.
    """

    light: Plane
    box: Box | None
    dark: bool


def find(grey: Plane, dark: bool | None, edge: int) -> ObjectBounds:
    """The object of a (height, width) picture, as a model sees it: `edge` pixels long.

    `dark` tells whether it is darker than its ground; None leaves that to the picture.
    """
    ground, noise = _ground(grey)
    above = grey - ground
    if dark is None:
        dark = _is_dark(above, noise, float(ground.mean()))
    if dark:
        above = -above
    light = np.maximum(above, 0)
    # In cells, each a mean of many pixels, noise weighs little and parts hang together. The
    # grain of a compressed photograph is coarse: it fades with a cell's side, not its area.
    cell = -(-max(grey.shape) // _CELLS)
    coarse = np.asarray(Image.fromarray(above).reduce(cell))
    calm = _SIGMAS * noise / math.sqrt(cell)
    peak = float(coarse.max())
    if peak < max(LEAST_CONTRAST, calm):
        return ObjectBounds(light, None, dark)
    parts = _without_specks(coarse, coarse > max(FAINTEST * peak, calm))
    light = light * parts.repeat(cell, 0).repeat(cell, 1)[: grey.shape[0], : grey.shape[1]]
    box = _extent(light > max(FAINTEST * peak, _SIGMAS * noise))
    return ObjectBounds(light, box and _focused(light, box, edge), dark)


def _ground(grey: Plane) -> tuple[Plane, float]:
    """The plane that most of the border lies on, and the deviation of the border from it."""
    height, width = grey.shape
    rim = max(1, min(height, width) // 50)
    ring = np.ones(grey.shape, bool)
    ring[rim:-rim, rim:-rim] = False
    rows, columns = np.nonzero(ring)
    values = grey[ring].astype(np.float64)
    places = np.stack(
        (np.ones(len(values)), rows / max(height - 1, 1), columns / max(width - 1, 1)), axis=1
    )
    plane = np.array((np.median(values), 0.0, 0.0))
    for _ in range(3):
        apart = np.abs(values - places @ plane)
        level = apart <= max(3 * 1.4826 * float(np.median(apart)), 1.0)
        if np.ptp(values[level]) == 0:
            plane = np.array((values[level][0], 0.0, 0.0))
            break
        plane = np.linalg.lstsq(places[level], values[level], rcond=None)[0]
    noise = 1.4826 * float(np.median(np.abs(values - places @ plane)))
    down = np.arange(height) / max(height - 1, 1)
    across = np.arange(width) / max(width - 1, 1)
    ground = plane[0] + plane[1] * down[:, None] + plane[2] * across[None, :]
    return ground.astype(np.float32), noise


def _is_dark(above: Plane, noise: float, ground: float) -> bool:
    """Whether what stands out is darker than its ground; the ground decides where nothing does."""
    margin = max(_SIGMAS * noise, LEAST_CONTRAST)
    lighter = float(np.maximum(above - margin, 0).sum())
    darker = float(np.maximum(-above - margin, 0).sum())
    return darker > lighter or (darker == lighter and ground > 127)


def _without_specks(coarse: Plane, mask: Mask) -> Mask:
    """The mask, a cell wider all round, of the parts that are no mere specks."""
    labels = np.arange(1, mask.size + 1, dtype=np.int64).reshape(mask.shape) * mask
    while True:
        spread = _largest_nearby(labels) * mask
        if np.array_equal(spread, labels):
            break
        labels = spread
    weights = np.bincount(labels.ravel(), weights=(coarse * mask).ravel())
    kept = np.where(mask, weights[labels] >= SPECK * weights.max(), False).astype(np.int64)
    return _largest_nearby(kept).astype(bool)


def _largest_nearby(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Each cell's largest among itself and its eight neighbours."""
    around = np.pad(cells, 1)
    rows = np.maximum(np.maximum(around[:-2], around[1:-1]), around[2:])
    return np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _extent(mask: Mask) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _focused(light: Plane, box: Box, edge: int) -> Box:
    """The box without the halo of a blurred outline.

    A picture once enlarged fades out beyond its true edge: that lies where it reaches half
    of what it is a pixel of the model further in. Where it takes longer than a blur would,
    the outer pixels are faint by nature, and stay.
    """
    left, top, right, bottom = box
    pixel = max(right - left, bottom - top) / edge

    def halo(profile: Plane) -> int:
        inside = profile[min(round(pixel), len(profile) - 1)]
        width = int(np.argmax(profile >= inside / 2))
        return width if width <= _BLUR * pixel else 0

    part = light[top:bottom, left:right]
    across, down = part.max(axis=0), part.max(axis=1)
    return (
        left + halo(across),
        top + halo(down),
        right - halo(across[::-1]),
        bottom - halo(down[::-1]),
    )

"""A small grey canvas and the soft brush that draws on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import IMAGE_SIDE

RADIUS = 1.6
# The picture is asked about at this many times its size: one of the model's own size would
# be taken as it is, and a drawing in a corner is to be found and centred as in any picture.
_ENLARGED = 4

Pixels = npt.NDArray[np.uint8]


class DrawingCanvas:
    """Light strokes on black. Places are in pixels, (0, 0) being the upper left corner and
    whole numbers the edges between pixels."""

    def __init__(self) -> None:
        self.pixels: Pixels = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint8)
        centres = np.arange(IMAGE_SIDE) + 0.5
        self._x, self._y = np.meshgrid(centres, centres)

    @property
    def is_blank(self) -> bool:
        return not self.pixels.any()

    def clear(self) -> None:
        self.pixels = np.zeros_like(self.pixels)

    def stroke(
        self, start: tuple[float, float], end: tuple[float, float], *, rub: bool = False
    ) -> bool:
        """Draw, or rub out, from one place to another; whether that changed anything."""
        # Rubbing out is wider, or the soft edge of a stroke would stay behind.
        radius = 2 * RADIUS if rub else RADIUS
        ink = np.rint(255 * _falloff(self._distance(start, end), radius)).astype(np.uint8)
        drawn = np.minimum(self.pixels, 255 - ink) if rub else np.maximum(self.pixels, ink)
        if np.array_equal(drawn, self.pixels):
            return False
        self.pixels = drawn
        return True

    def picture(self) -> Pixels:
        """The drawing as a picture to be asked about."""
        return np.kron(self.pixels, np.ones((_ENLARGED, _ENLARGED), np.uint8))

    def _distance(
        self, start: tuple[float, float], end: tuple[float, float]
    ) -> npt.NDArray[np.float64]:
        """From every pixel's centre to the line between two places."""
        across, down = end[0] - start[0], end[1] - start[1]
        length = across * across + down * down
        x, y = self._x - start[0], self._y - start[1]
        along = np.clip((x * across + y * down) / length, 0, 1) if length else 0.0
        return np.asarray(np.hypot(x - along * across, y - along * down))


def _falloff(distance: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    """Full up to half of the brush's radius, then less and less, nothing beyond."""
    return np.asarray(np.clip(2 * (1 - distance / radius), 0, 1))

"""A drawing as small as the images that a model sees: strokes, fills, and taking them back."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import IMAGE_SIDE

Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]

# The radius of each brush in pixels, from the finest.
BRUSHES = (0.9, 1.6, 2.6, 4.0)
# An image of the model's own size would be used as it is. An enlarged one is cropped and
# centred like any other.
_ENLARGEMENT = 4
# Darker pixels can be filled; at brighter ones a fill ends.
_FILLED = 128
_MAX_UNDO = 500


class Drawing:
    """Light strokes on black. Points on it are in pixels from the upper left corner.

    `remember` marks a state that `undo` returns to, together with a `note` of the caller's."""

    def __init__(self) -> None:
        self.pixels: Pixels = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint8)
        self._past: deque[tuple[Pixels, object]] = deque(maxlen=_MAX_UNDO)

    @property
    def is_blank(self) -> bool:
        return not self.pixels.any()

    def image(self) -> Pixels:
        """The drawing as an image to predict."""
        return np.kron(self.pixels, np.ones((_ENLARGEMENT, _ENLARGEMENT), np.uint8))

    def remember(self, note: object = None) -> None:
        # Of equal states the last one counts.
        if self._past and np.array_equal(self._past[-1][0], self.pixels):
            self._past.pop()
        self._past.append((self.pixels, note))

    def undo(self) -> object | None:
        """Return to the last state that differs from this one; its note, None without one."""
        while self._past:
            pixels, note = self._past.pop()
            if not np.array_equal(pixels, self.pixels):
                self.pixels = pixels
                return note
        return None

    def stroke(self, start: Point, end: Point, brush: int, *, erase: bool = False) -> None:
        """Draw or erase a line with a soft brush."""
        # The eraser is wider: otherwise it would leave the soft edges of a stroke.
        radius = BRUSHES[brush] * (2 if erase else 1)
        # Full strength up to half of the radius, then falling to zero.
        strength = np.clip(2 * (1 - _distances(start, end) / radius), 0, 1)
        ink = np.rint(255 * strength).astype(np.uint8)
        drawn = np.minimum(self.pixels, 255 - ink) if erase else np.maximum(self.pixels, ink)
        self.pixels = np.asarray(drawn)

    def fill(self, point: Point) -> bool:
        """Fill the dark area around a point up to the strokes; False where there is none."""
        x, y = (int(min(IMAGE_SIDE - 1, max(0.0, part))) for part in point)
        is_dark = self.pixels < _FILLED
        if not is_dark[y, x]:
            return False
        area = np.zeros_like(is_dark)
        area[y, x] = True
        while True:
            grown = area.copy()
            grown[1:] |= area[:-1]
            grown[:-1] |= area[1:]
            grown[:, 1:] |= area[:, :-1]
            grown[:, :-1] |= area[:, 1:]
            grown &= is_dark
            if np.array_equal(grown, area):
                break
            area = grown
        self.pixels = np.where(area, np.uint8(255), self.pixels)
        return True

    def clear(self) -> None:
        self.pixels = np.zeros_like(self.pixels)


def _distances(start: Point, end: Point) -> npt.NDArray[np.float64]:
    """The distance of every pixel's centre from a line."""
    centres = np.arange(IMAGE_SIDE) + 0.5
    x, y = centres - start[0], centres[:, None] - start[1]
    across, down = end[0] - start[0], end[1] - start[1]
    length = across * across + down * down
    along = np.clip((x * across + y * down) / length, 0, 1) if length else 0.0
    return np.asarray(np.hypot(x - along * across, y - along * down))

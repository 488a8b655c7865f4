"""Bringing a part of a picture into a model's small square."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fmnist_tui.data.images.pixels import Box, Plane

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
_SHARPNESS = 0.5


def to_grey(colour: Plane) -> Plane:
    """(height, width, 1 or 3) as (height, width), by the weights of luma."""
    return colour[..., 0] if colour.shape[2] == 1 else colour @ _LUMA


def to_square(colour: Plane, size: int) -> Plane:
    """All of (height, width, channels) in a square, padded with what its border mostly is."""
    height, width, channels = colour.shape
    wide, high, left, top = placed(width, height, size, size)
    border = np.concatenate((colour[0], colour[-1], colour[:, 0], colour[:, -1]))
    square = np.empty((size, size, channels), np.float32)
    square[:] = np.median(border, axis=0)
    for channel in range(channels):
        part = scaled(colour[..., channel], wide, high)
        square[top : top + high, left : left + wide, channel] = part
    return square


def placed(width: int, height: int, edge: int, size: int) -> tuple[int, int, int, int]:
    """A rectangle whose longer side takes `edge` pixels of a square: its width, height, left, top.

    Where the margins cannot be equal, the makers of Fashion-MNIST left one more on the left
    and at the top.
    """
    longest = max(width, height)
    wide, high = max(1, round(width * edge / longest)), max(1, round(height * edge / longest))
    return wide, high, (size - wide + 1) // 2, (size - high + 1) // 2


def scaled(plane: Plane, width: int, height: int) -> Plane:
    """The plane at another size, each pixel a weighted mean of all it covers."""
    image = Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32)


def sharpened(plane: Plane) -> Plane:
    """A little crisper: Fashion-MNIST's makers sharpened each picture once it was small."""
    around = np.pad(plane, 1, mode="edge")
    rows = around[:-2] + 2 * around[1:-1] + around[2:]
    blurred = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return np.asarray(plane + _SHARPNESS * (plane - blurred), np.float32)


def centred_by_mass(square: Plane, box: Box) -> Plane:
    """Moved by whole pixels, as MNIST was, but never so far that the box would leave the square."""
    size, total = len(square), float(square.sum())
    if total == 0:
        return square
    places = np.arange(size)
    across, down = (
        min(max(round(size / 2 - float(sums @ places) / total), -low), size - high)
        for sums, low, high in zip(
            (square.sum(axis=0), square.sum(axis=1)), box[:2], box[2:], strict=True
        )
    )
    return np.roll(square, (down, across), axis=(0, 1))

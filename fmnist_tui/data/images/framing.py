"""Resizing, sharpening and centring within the small square that a model sees."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fmnist_tui.data.images.pixels import Box, Plane

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
_SHARPNESS = 0.5


def to_grey(colour: Plane) -> Plane:
    """(height, width, 1 or 3) as (height, width), weighted by luma."""
    return colour[..., 0] if colour.shape[2] == 1 else colour @ _LUMA


def to_square(colour: Plane, size: int) -> Plane:
    """The whole image (height, width, channels) in a square, padded with its border's median."""
    height, width, channels = colour.shape
    new_width, new_height, left, top = fit_rectangle(width, height, size, size)
    border = np.concatenate((colour[0], colour[-1], colour[:, 0], colour[:, -1]))
    square = np.empty((size, size, channels), np.float32)
    square[:] = np.median(border, axis=0)
    for channel in range(channels):
        part = resize(colour[..., channel], new_width, new_height)
        square[top : top + new_height, left : left + new_width, channel] = part
    return square


def fit_rectangle(width: int, height: int, edge: int, size: int) -> tuple[int, int, int, int]:
    """Scale a rectangle to a longer side of `edge` and centre it: its width, height, left, top.

    If the margins in the square of `size` cannot be equal, the larger one is left and top, as
    in Fashion-MNIST.
    """
    longest = max(width, height)
    new_width, new_height = (max(1, round(side * edge / longest)) for side in (width, height))
    return new_width, new_height, (size - new_width + 1) // 2, (size - new_height + 1) // 2


def resize(plane: Plane, width: int, height: int) -> Plane:
    image = Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32)


def sharpen(plane: Plane) -> Plane:
    """Sharpen a little, as Fashion-MNIST's images were after they were reduced."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    blurred = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return np.asarray(plane + _SHARPNESS * (plane - blurred), np.float32)


def centre_by_mass(square: Plane, box: Box) -> Plane:
    """Shift the centre of mass to the middle by whole pixels, keeping the box in the square."""
    size, total = len(square), float(square.sum())
    if total == 0:
        return square
    positions = np.arange(size)
    across, down = (
        min(max(round(size / 2 - float(sums @ positions) / total), -low), size - high)
        for sums, low, high in zip(
            (square.sum(axis=0), square.sum(axis=1)), box[:2], box[2:], strict=True
        )
    )
    return np.roll(square, (down, across), axis=(0, 1))

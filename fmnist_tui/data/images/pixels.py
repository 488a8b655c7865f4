"""Decoded images of every mode as planes of numbers, 0 to 255.

A large image is taken tile by tile, so that no second copy of it ever exists. Depth is
kept: the sixteen bits of a grey picture reach the planes as fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]

_TILE = 1024


def planes(image: Image.Image, factor: int) -> tuple[Plane, Plane | None]:
    """The colours (height, width, 1 or 3) over black, and the opacity (0 to 1) if not total.

    Both sides come out `factor` times shorter, every number the mean of its block.
    """
    level = _levels(image)
    colour: Plane | None = None
    alpha: Plane | None = None
    width, height = -(-image.width // factor), -(-image.height // factor)
    for left, top, right, bottom in _boxes(image, _TILE // factor * factor or factor):
        tile = image.crop((left, top, right, bottom))
        parts = [_reduced(part, factor) for part in (_deep(tile, level) if level else _flat(tile))]
        here = (
            slice(top // factor, -(-bottom // factor)),
            slice(left // factor, -(-right // factor)),
        )
        if colour is None:
            colour = np.empty((height, width, parts[0].shape[2]), np.float32)
            alpha = np.empty((height, width), np.float32) if len(parts) > 1 else None
        colour[here] = parts[0]
        if alpha is not None:
            alpha[here] = parts[1][..., 0] / 255
    assert colour is not None  # an image has a pixel, so there was a tile
    return colour, alpha


def turned(plane: Plane, orientation: int) -> Plane:
    """The plane turned and mirrored as the EXIF orientation (1 to 8) asks."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    return np.ascontiguousarray(plane)


def _boxes(image: Image.Image, step: int) -> Iterator[Box]:
    for top in range(0, image.height, step):
        for left in range(0, image.width, step):
            yield left, top, min(left + step, image.width), min(top + step, image.height)


def _reduced(part: Image.Image, factor: int) -> Plane:
    numbers = np.asarray(part.reduce(factor), np.float32)
    return numbers.reshape(*numbers.shape[:2], -1)


def _flat(tile: Image.Image) -> tuple[Image.Image, ...]:
    """Eight bits a channel: grey or colour, and the opacity of what may be transparent."""
    if not tile.has_transparency_data:
        return (tile.convert("L" if tile.mode in ("1", "L") else "RGB"),)
    see_through = tile.info.get("transparency")
    if isinstance(see_through, tuple) and max(see_through) > 255:
        # A colour named in sixteen bits, of a picture that Pillow reads as eight.
        tile.info["transparency"] = tuple(part >> 8 for part in see_through)
    if tile.mode == "La":
        tile = tile.convert("LA")
    if tile.mode != "RGBa":
        tile = tile.convert("RGBA").convert("RGBa")
    bands = tile.split()
    return Image.merge("RGB", bands[:3]), bands[3]


def _deep(tile: Image.Image, level: Callable[[Plane], Plane]) -> tuple[Image.Image, ...]:
    """More than eight bits of grey, and the opacity where one value means transparent."""
    values = np.asarray(tile)
    grey = level(values.astype(np.float32))
    see_through = tile.info.get("transparency")
    if not isinstance(see_through, int):
        return (Image.fromarray(grey),)
    opaque = values != see_through
    return Image.fromarray(grey * opaque), Image.fromarray(np.where(opaque, 255, 0).astype("f4"))


def _levels(image: Image.Image) -> Callable[[Plane], Plane] | None:
    """What turns the image's own numbers into 0 to 255; None where they already are."""
    if image.mode.startswith("I;16"):
        return lambda values: values / np.float32(257)
    if image.mode not in ("I", "F"):
        return None
    # These modes say nothing of their range: take the narrowest usual one that holds all.
    low, high = np.inf, -np.inf
    for box in _boxes(image, _TILE):
        values = np.asarray(image.crop(box), np.float32)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not low <= high:
        low = high = 0.0
    full = next((full for full in (1, 255, 65_535) if low >= 0 and high <= full), None)
    floor, span = (0.0, float(full)) if full else (low, high - low or 1.0)

    def level(values: Plane) -> Plane:
        finite = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
        return ((finite - floor) * (255 / span)).astype(np.float32)

    return level

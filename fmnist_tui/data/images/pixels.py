"""Conversion of images of every Pillow mode to planes of floats, 0 to 255, tile by tile.

Bit depth is kept: 16-bit grey levels become fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]

_TILE = 1024


def extract_planes(image: Image.Image, factor: int) -> tuple[Plane, Plane | None]:
    """The colours (height, width, 1 or 3) over black, and the alpha (0 to 1) if not opaque.

    Both are reduced by `factor`: every number is the mean of a block.
    """
    rescale = _rescaling(image)
    planes: list[Plane] = []
    width, height = -(-image.width // factor), -(-image.height // factor)
    for left, top, right, bottom in _tiles(image, _TILE // factor * factor or factor):
        tile = image.crop((left, top, right, bottom))
        bands = _convert_deep(tile, rescale) if rescale else _convert(tile)
        parts = [np.atleast_3d(np.asarray(band.reduce(factor), np.float32)) for band in bands]
        planes = planes or [np.empty((height, width, part.shape[2]), np.float32) for part in parts]
        rows = slice(top // factor, -(-bottom // factor))
        columns = slice(left // factor, -(-right // factor))
        for plane, part in zip(planes, parts, strict=True):
            plane[rows, columns] = part
    return planes[0], planes[1][..., 0] / np.float32(255) if len(planes) > 1 else None


def apply_orientation(plane: Plane, orientation: int) -> Plane:
    """The plane rotated and mirrored by the EXIF orientation (1 to 8)."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    return np.ascontiguousarray(plane)


def _tiles(image: Image.Image, step: int) -> Iterator[Box]:
    for top in range(0, image.height, step):
        for left in range(0, image.width, step):
            yield left, top, min(left + step, image.width), min(top + step, image.height)


def _convert(tile: Image.Image) -> tuple[Image.Image, ...]:
    """Eight bits per channel: grey or colour, and alpha if the tile has transparency."""
    if not tile.has_transparency_data:
        return (tile.convert("L" if tile.mode in ("1", "L") else "RGB"),)
    transparent = tile.info.get("transparency")
    if isinstance(transparent, tuple) and max(transparent) > 255:
        # A 16-bit colour in an image that Pillow reads as 8-bit.
        tile.info["transparency"] = tuple(part >> 8 for part in transparent)
    if tile.mode == "La":
        tile = tile.convert("LA")
    if tile.mode != "RGBa":
        tile = tile.convert("RGBA").convert("RGBa")
    bands = tile.split()
    return Image.merge("RGB", bands[:3]), bands[3]


def _convert_deep(tile: Image.Image, rescale: Callable[[Plane], Plane]) -> tuple[Image.Image, ...]:
    """Grey of more than eight bits, and alpha if one value means transparent."""
    values = np.asarray(tile)
    grey = rescale(values.astype(np.float32))
    transparent = tile.info.get("transparency")
    if not isinstance(transparent, int):
        return (Image.fromarray(grey),)
    opaque = values != transparent
    return Image.fromarray(grey * opaque), Image.fromarray(np.where(opaque, 255, 0).astype("f4"))


def _rescaling(image: Image.Image) -> Callable[[Plane], Plane] | None:
    """The function from the image's values to 0 to 255; None for 8-bit images."""
    if image.mode.startswith("I;16"):
        return lambda values: values / np.float32(257)
    if image.mode not in ("I", "F"):
        return None
    # These modes have no fixed range: use the narrowest usual one that has all values.
    low, high = np.inf, -np.inf
    for box in _tiles(image, _TILE):
        values = np.asarray(image.crop(box), np.float32)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not low <= high:
        low = high = 0.0
    full = next((full for full in (1, 255, 65_535) if low >= 0 and high <= full), None)
    floor, span = (0.0, float(full)) if full else (low, high - low or 1.0)

    def rescale(values: Plane) -> Plane:
        finite = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
        return ((finite - floor) * (255 / span)).astype(np.float32)

    return rescale

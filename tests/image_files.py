"""Image files for tests: in any mode, format and orientation, or like a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]

FORMATS = (
    *(("jpg", "RGB"), ("jpg", "L"), ("webp", "RGB"), ("webp", "RGBA")),
    *(("png", "RGB"), ("png", "RGBA"), ("png", "P"), ("png", "L")),
)
"""Suffixes and modes that `save_photo` chooses from."""

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_SMOOTH = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)
_ORIENTATION = 0x0112


def save_image(image: Image.Image, path: Path, orientation: int = 1, **options: Any) -> Path:
    """Save an upright image as a turned camera does: rotated, with its orientation in EXIF."""
    if orientation != 1:
        image = image.transpose(_TRANSPOSITIONS[orientation])
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        options["exif"] = exif
    image.save(path, **options)
    return path


def save_photo(image: Bytes, path: Path, dice: np.random.Generator) -> Path:
    """Save a (28, 28) image like a photo of the object; returns `path` with the right suffix.

    Enlarged twelve times with smoothing, inverted onto white, off-centre, in one of FORMATS
    and any orientation.
    """
    large = Image.fromarray(image).resize((336, 336), _SMOOTH[dice.integers(len(_SMOOTH))])
    left, top, right, bottom = (int(margin) for margin in dice.integers(5, 150, 4))
    on_black = Image.new("L", (336 + left + right, 336 + top + bottom))
    on_black.paste(large, (left, top))
    suffix, mode = FORMATS[dice.integers(len(FORMATS))]
    photo = Image.eval(on_black, lambda value: 255 - value).convert(mode)
    if mode == "RGBA":
        # Cut out: the white background is transparent.
        photo.putalpha(Image.eval(on_black, lambda value: 255 * (value > 5)))
    options = {"quality": int(dice.choice((60, 75, 90, 95)))} if suffix != "png" else {}
    orientation = int(dice.integers(1, 9))
    return save_image(photo, path.with_suffix(f".{suffix}"), orientation, **options)

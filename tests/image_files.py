"""Making picture files for tests: in any mode, format and orientation, or as if photographed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]

WAYS = (
    *(("jpg", "RGB"), ("jpg", "L"), ("webp", "RGB"), ("webp", "RGBA")),
    *(("png", "RGB"), ("png", "RGBA"), ("png", "P"), ("png", "L")),
)
"""Suffixes and modes that `photographed` chooses from."""

_TURNS = {
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


def save_picture(image: Image.Image, path: Path, orientation: int = 1, **options: Any) -> Path:
    """Saves an upright image as a camera held otherwise would have: turned, with EXIF saying so."""
    if orientation != 1:
        image = image.transpose(_TURNS[orientation])
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        options["exif"] = exif
    image.save(path, **options)
    return path


def photographed(image: Bytes, path: Path, dice: np.random.Generator) -> Path:
    """A (28, 28) image of the data as a file: `path` with the suffix of what it became.

    Enlarged twelve times with smoothing, inverted onto white, off-centre, in one of WAYS
    and any orientation.
    """
    large = Image.fromarray(image).resize((336, 336), _SMOOTH[dice.integers(len(_SMOOTH))])
    left, top, right, bottom = (int(margin) for margin in dice.integers(5, 150, 4))
    on_black = Image.new("L", (336 + left + right, 336 + top + bottom))
    on_black.paste(large, (left, top))
    suffix, mode = WAYS[dice.integers(len(WAYS))]
    picture = Image.eval(on_black, lambda value: 255 - value).convert(mode)
    if mode == "RGBA":
        # Cut out: what was white is see-through.
        picture.putalpha(Image.eval(on_black, lambda value: 255 * (value > 5)))
    options = {"quality": int(dice.choice((60, 75, 90, 95)))} if suffix != "png" else {}
    orientation = int(dice.integers(1, 9))
    return save_picture(picture, path.with_suffix(f".{suffix}"), orientation, **options)

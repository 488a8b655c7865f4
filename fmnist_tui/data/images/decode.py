"""Picture files of unknown origin, opened without harm.

A file is read whole, its header is judged before its pixels are decoded, and whatever
a decoder stumbles over becomes one `UserError`. What comes out is upright and as deep
as the file was: see `DecodedImage`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageChops, UnidentifiedImageError

from fmnist_tui.data.images import decode_limits
from fmnist_tui.data.images.pixels import Plane, planes, turned
from fmnist_tui.data.images.silence_decoders import quietly
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
EDGE = 1024
"""Longer pictures are reduced by a whole factor; no model here looks at a quarter of this."""

_READABLE = "PNG, JPEG, WebP, BMP, GIF and TIFF are read"


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An upright picture and the facts of its file.

    `colour` is (height, width, 1 or 3), 0 to 255, laid over black where the picture is
    transparent; `alpha` is (height, width), 0 to 1, or None where all is opaque.
    `size` is the upright width and height before any reduction, `orientation` the EXIF
    number by which the picture was turned.
    """

    colour: Plane
    alpha: Plane | None
    format: str
    mode: str
    size: tuple[int, int]
    orientation: int = 1

    def over(self, ground: float) -> Plane:
        """The colours laid over a uniform ground."""
        if self.alpha is None:
            return self.colour
        return self.colour + ((1 - self.alpha) * np.float32(ground))[..., None]

    @classmethod
    def of(cls, image: npt.NDArray[np.uint8]) -> DecodedImage:
        """A picture that never was a file: (height, width) or (height, width, 1 or 3)."""
        colour = image.astype(np.float32).reshape(*image.shape[:2], -1)
        mode = "L" if colour.shape[2] == 1 else "RGB"
        return cls(colour, None, "", mode, (image.shape[1], image.shape[0]))


def open_image(path: str | Path) -> DecodedImage:
    """The picture in the file at `path`; raises UserError, one line, for anything else."""
    name = safe_text(path)
    data = _contents(path, name)
    try:
        decode_limits.judge_start(data)
        with quietly():
            return _decoded(data)
    except decode_limits.DecodeLimitError as error:
        raise UserError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise UserError(f"{name}: an image bomb, of far too many pixels; make it smaller") from None
    except UnidentifiedImageError:
        raise UserError(f"{name}: not a picture, or damaged; {_READABLE}") from None
    except MemoryError:
        raise UserError(f"{name}: not enough memory to open it; make it smaller") from None
    except Exception as error:  # noqa: BLE001 - decoders fed with rubbish raise anything at all
        why = safe_text(reason(error), 100)
        raise UserError(f"{name}: damaged or cut short ({why}); save it afresh") from None


def _contents(path: str | Path, name: str) -> bytes:
    """The bytes of a regular file of bearable size; anything else is not even opened."""
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise UserError(f"{name}: {kind}; give a picture file ({_READABLE})")
        # Should something else take its place meanwhile, opening that must not wait.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            data = file.read(decode_limits.FILE_LIMIT + 1)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise UserError(f"{name}: no file can have this name") from None
    if len(data) > decode_limits.FILE_LIMIT:
        raise UserError(f"{name}: larger than {decode_limits.FILE_LIMIT >> 20} MB; make it smaller")
    if not data:
        raise UserError(f"{name}: an empty file; give a picture ({_READABLE})")
    return data


def _decoded(data: bytes) -> DecodedImage:
    Image.init()  # importing the decoders is no work of the file's
    file = decode_limits.MeteredFile(data)
    with Image.open(file, formats=FORMATS) as opened:
        image: Image.Image = opened
        # A camera's stereo or depth picture (MPO) is a JPEG followed by others.
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        decode_limits.judge_header(image, kind, data)
        width, height = image.size
        file.allow(decode_limits.SECONDS + decode_limits.SECONDS_PER_PIXEL * width * height)
        mode = image.mode
        # Loading turns a TIFF and forgets that it did; a PNG's notes may come after its pixels.
        stated = _orientation(image) if kind == "TIFF" else None
        # A JPEG can be decoded at a half, a quarter or an eighth of its size.
        longest = max(width, height, EDGE)
        image.draft(None, (max(1, width * EDGE // longest), max(1, height * EDGE // longest)))
        image.load()
        orientation = _orientation(image)
        if kind == "JPEG" and mode == "CMYK" and "adobe" not in image.info:
            # Pillow takes every such JPEG to be stored inverted, as Adobe does.
            image = ImageChops.invert(image)
        colour, alpha = planes(image, -(-max(image.size) // EDGE))
    colour = turned(colour, orientation)
    alpha = None if alpha is None else turned(alpha, orientation)
    size = (height, width) if orientation >= 5 else (width, height)
    return DecodedImage(colour, alpha, kind, mode, size, stated or orientation)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where there is none that can be believed."""
    try:
        number = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (decode_limits.DecodeLimitError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - a camera's mangled notes must not cost the picture
        return 1
    return number if number in range(1, 9) else 1

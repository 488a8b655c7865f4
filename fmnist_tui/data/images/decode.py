"""Safe decoding of image files from untrusted sources: errors of decoders become `UserError`s."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageChops, UnidentifiedImageError

from fmnist_tui.data.fingerprint import content_id
from fmnist_tui.data.images import decode_limits
from fmnist_tui.data.images.pixels import Plane, apply_orientation, extract_planes
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
EDGE = 1024
"""Larger images are reduced by an integer factor; no model here needs a quarter of this."""

_SUPPORTED = "supported: PNG, JPEG, WebP, BMP, GIF, TIFF"
# Warning filters belong to the whole process: only one thread at a time may change them.
_filters_lock = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An upright image; `size` is before any reduction, the EXIF `orientation` has been undone.

    `colour` is (height, width, 1 or 3), 0 to 255, premultiplied by alpha; `alpha` is (height,
    width), 0 to 1, or None for an opaque image. `id` identifies the file's contents.
    """

    colour: Plane
    alpha: Plane | None
    format: str
    mode: str
    size: tuple[int, int]
    orientation: int = 1
    id: bytes = b""

    def composite(self, background: float) -> Plane:
        """The colours over a uniform background."""
        if self.alpha is None:
            return self.colour
        return self.colour + ((1 - self.alpha) * np.float32(background))[..., None]

    @classmethod
    def from_array(cls, image: npt.NDArray[np.uint8]) -> DecodedImage:
        """An image without a file: (height, width) or (height, width, 1 or 3)."""
        colour = image.astype(np.float32).reshape(*image.shape[:2], -1)
        mode = "L" if colour.shape[2] == 1 else "RGB"
        return cls(colour, None, "", mode, (image.shape[1], image.shape[0]))


def open_image(path: str | Path) -> DecodedImage:
    """The image in the file at `path`; raises UserError, one line, for anything else."""
    name = safe_text(path)
    data = _read_file(path, name)
    try:
        decode_limits.check_tiff_tables(data)
        with _silence_decoders():
            return replace(_decode(data), id=content_id(data))
    except decode_limits.DecodeLimitError as error:
        raise UserError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise UserError(f"{name}: an image bomb: far too many pixels; make it smaller") from None
    except UnidentifiedImageError:
        raise UserError(f"{name}: not an image, or damaged; {_SUPPORTED}") from None
    except MemoryError:
        raise UserError(f"{name}: not enough memory to open it; make it smaller") from None
    except Exception as error:  # noqa: BLE001 - decoders of damaged data raise anything
        cause = safe_text(format_error(error), 100)
        raise UserError(f"{name}: damaged or truncated ({cause}); save it again") from None


def _read_file(path: str | Path, name: str) -> bytes:
    """The bytes of a regular file within the size limit; opens nothing else."""
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise UserError(f"{name}: {kind}; expected an image file ({_SUPPORTED})")
        # If a pipe or device replaces the file meanwhile, opening it must not block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            data = file.read(decode_limits.FILE_LIMIT + 1)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise UserError(f"{name}: not a valid file name") from None
    if len(data) > decode_limits.FILE_LIMIT:
        raise UserError(f"{name}: larger than {decode_limits.FILE_LIMIT >> 20} MB; make it smaller")
    if not data:
        raise UserError(f"{name}: an empty file; expected an image ({_SUPPORTED})")
    return data


@contextlib.contextmanager
def _silence_decoders() -> Iterator[None]:
    """Keep the messages of Pillow and its libraries off the terminal: they break the screen."""
    _silence_libtiff()
    log = logging.getLogger("PIL")
    if not log.handlers:
        # Without any handler, Python prints log messages itself.
        log.addHandler(logging.NullHandler())
    with _filters_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _silence_libtiff() -> None:
    """Remove libtiff's own error handlers, which print on standard error."""
    with contextlib.suppress(OSError, AttributeError):  # statically linked: no such symbols
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes = (ctypes.c_void_p,)
            set_handler.restype = ctypes.c_void_p
            set_handler(None)


def _decode(data: bytes) -> DecodedImage:
    Image.init()  # imports the decoders before the clock starts
    file = decode_limits.MeteredFile(data)
    with Image.open(file, formats=FORMATS) as opened:
        image: Image.Image = opened
        # A stereo or depth image of a camera (MPO) is a JPEG followed by others.
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        decode_limits.check_size(image, kind, data)
        mode, (width, height) = image.mode, image.size
        pixel_seconds = decode_limits.SECONDS_PER_PIXEL * width * height
        file.set_time_limit(decode_limits.SECONDS + pixel_seconds)
        # Loading rotates a TIFF and drops its EXIF; a PNG's EXIF may follow its pixels.
        tiff_orientation = _orientation(image) if kind == "TIFF" else None
        # JPEGs can be decoded at a half, a quarter or an eighth of their size.
        longest = max(width, height, EDGE)
        image.draft(None, (max(1, width * EDGE // longest), max(1, height * EDGE // longest)))
        image.load()
        orientation = _orientation(image)
        if kind == "JPEG" and mode == "CMYK" and "adobe" not in image.info:
            # Pillow assumes that all CMYK JPEGs are inverted, as Adobe's are.
            image = ImageChops.invert(image)
        colour, alpha = extract_planes(image, -(-max(image.size) // EDGE))
    colour = apply_orientation(colour, orientation)
    alpha = None if alpha is None else apply_orientation(alpha, orientation)
    size = (height, width) if orientation >= 5 else (width, height)
    return DecodedImage(colour, alpha, kind, mode, size, tiff_orientation or orientation)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if there is none or it is invalid."""
    try:
        number = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (decode_limits.DecodeLimitError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - damaged EXIF data must not make the image unreadable
        return 1
    return number if number in range(1, 9) else 1

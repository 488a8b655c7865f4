"""What a picture file would cost to decode, judged before a pixel of it is decoded.

The limits hold every file, whatever its makers meant by it, to about a second and
256 MB; they are what each decoder was measured to need for a pixel.
"""

from __future__ import annotations

import contextlib
import io
import struct
import time

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from fmnist_tui.util.text import safe_text

FILE_LIMIT = 48 * 2**20
EDGE_LIMIT = 65_535
PIXEL_LIMITS = {
    "JPEG": 100_000_000,
    "PNG": 40_000_000,
    "BMP": 40_000_000,
    "GIF": 40_000_000,
    "TIFF": 12_500_000,
    "WEBP": 12_500_000,
}
STAGED_JPEG_PIXELS = 20_000_000
STAGED_JPEG_SCANS = 100
RLE_BITMAP_PIXELS = 2_000_000

SECONDS = 0.3
SECONDS_PER_PIXEL = 40e-9

_RLE = (1, 2)
_START_OF_SCAN = b"\xff\xda"
_WITHOUT_LENGTH = b"\x00\x01\xd0\xd1\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9"
_TIFF_STARTS = {b"II*\0": "<", b"MM\0*": ">"}
_TIFF_COMPRESSIONS = (
    *("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"),
    *("jpeg", "tiff_jpeg", "tiff_ccitt", "group3", "group4"),
)
_TIFF_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_TABLE_LIMIT = 100_000


class DecodeLimitError(Exception):
    """The file is refused for what it would cost; the message says why and what to do."""


class MeteredFile(io.BytesIO):
    """A file in memory whose readers are stopped when they have worked for too long.

    The parsers of headers are loops over whatever a file holds: millions of empty chunks,
    thousands of compressed profiles. All of them come by here for more.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0
        self.allow(SECONDS)

    def allow(self, seconds: float) -> None:
        """Starts the clock: processor time of this thread, so a busy machine changes nothing."""
        self._until = time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if (self._reads % 32 == 0 or (size or 0) > 512) and time.thread_time() > self._until:
            raise DecodeLimitError("takes too long to read; save it again without its metadata")
        return super().read(size)


def judge_start(data: bytes) -> None:
    """Raises CostError for a TIFF whose tables alone would fill the memory."""
    order = _TIFF_STARTS.get(data[:4])
    if order is None:
        return
    # Tables that are cut short end here as they will for the decoder.
    with contextlib.suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        total = 0
        for entry in range(count):
            _, kind, length = struct.unpack_from(f"{order}HHL", data, start + 2 + 12 * entry)
            width = _TIFF_WIDTHS.get(kind, 0)
            total += width * length
            if (width > 1 and length > _TIFF_TABLE_LIMIT) or total > len(data):
                raise DecodeLimitError("a TIFF with impossible tables; save it afresh")


def judge_header(image: Image.Image, kind: str, data: bytes) -> None:
    """Raises CostError for an image, opened but not decoded, of too many pixels for its kind."""
    width, height = image.size
    limit = PIXEL_LIMITS[kind]
    compression = image.info.get("compression")
    if isinstance(image, JpegImageFile) and _comes_in_stages(image, data):
        limit = STAGED_JPEG_PIXELS
        if data.count(_START_OF_SCAN) > STAGED_JPEG_SCANS:
            raise DecodeLimitError("a JPEG of too many scans; save it afresh")
    if kind == "BMP" and compression in _RLE:
        limit = RLE_BITMAP_PIXELS
    if kind == "TIFF" and compression not in _TIFF_COMPRESSIONS:
        raise DecodeLimitError(
            f"a TIFF compressed as {safe_text(compression)}; save it with LZW or none"
        )
    if width < 1 or height < 1:
        raise DecodeLimitError("has no pixels; save it afresh")
    if max(width, height) > EDGE_LIMIT or width * height > limit:
        raise DecodeLimitError(
            f"an image bomb or too large: {width}×{height} pixels, where {limit / 1e6:g} million "
            f"and {EDGE_LIMIT:,} along an edge are the most for its kind; make it smaller"
        )


def _comes_in_stages(image: JpegImageFile, data: bytes) -> bool:
    """Whether a JPEG has several scans, so that its decoder holds all of it until the last."""
    if image.info.get("progressive"):
        return True
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        marker = data[at + 1 : at + 2]
        if marker == _START_OF_SCAN[1:]:
            return data[at + 4] < image.layers
        if marker == b"\xff":
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False

"""Limits on the cost of decoding an image file, checked before any pixel is decoded.

They keep every file, even a hostile one, to about a second and 256 MB; they follow from the
measured cost per pixel of each decoder.
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
PROGRESSIVE_JPEG_PIXELS = 20_000_000
PROGRESSIVE_JPEG_SCANS = 100
RLE_BITMAP_PIXELS = 2_000_000

SECONDS = 0.3
SECONDS_PER_PIXEL = 40e-9

_RLE = (1, 2)
_START_OF_SCAN = b"\xff\xda"
_MARKERS_WITHOUT_LENGTH = b"\x00\x01\xd0\xd1\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9"
_TIFF_STARTS = {b"II*\0": "<", b"MM\0*": ">"}
_TIFF_COMPRESSIONS = (
    *("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"),
    *("jpeg", "tiff_jpeg", "tiff_ccitt", "group3", "group4"),
)
_TIFF_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_TABLE_LIMIT = 100_000


class DecodeLimitError(Exception):
    """The file would cost too much; the message says why and what to do."""


class MeteredFile(io.BytesIO):
    """A file in memory that refuses to be read once a time limit has passed.

    Header parsers loop over whatever is in a file: millions of empty chunks, thousands of
    compressed profiles. All of them read from here.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0
        self.set_time_limit(SECONDS)

    def set_time_limit(self, seconds: float) -> None:
        """Restart the clock, which counts CPU time of this thread: a busy machine is no problem."""
        self._deadline = time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if (self._reads % 32 == 0 or (size or 0) > 512) and time.thread_time() > self._deadline:
            raise DecodeLimitError("takes too long to read; save it again without its metadata")
        return super().read(size)


def check_tiff_tables(data: bytes) -> None:
    """Raise DecodeLimitError for a TIFF whose tables alone would fill the memory."""
    order = _TIFF_STARTS.get(data[:4])
    if order is None:
        return
    # Truncated tables end the loop here as in the decoder.
    with contextlib.suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        total = 0
        for entry in range(count):
            _, kind, length = struct.unpack_from(f"{order}HHL", data, start + 2 + 12 * entry)
            width = _TIFF_WIDTHS.get(kind, 0)
            total += width * length
            if (width > 1 and length > _TIFF_TABLE_LIMIT) or total > len(data):
                raise DecodeLimitError("a TIFF with impossible tables; save it again")


def check_size(image: Image.Image, kind: str, data: bytes) -> None:
    """Raise DecodeLimitError if an opened image has too many pixels for its format."""
    width, height = image.size
    limit = PIXEL_LIMITS[kind]
    compression = image.info.get("compression")
    if isinstance(image, JpegImageFile) and _is_progressive(image, data):
        limit = PROGRESSIVE_JPEG_PIXELS
        if data.count(_START_OF_SCAN) > PROGRESSIVE_JPEG_SCANS:
            raise DecodeLimitError("a JPEG with too many scans; save it again")
    if kind == "BMP" and compression in _RLE:
        limit = RLE_BITMAP_PIXELS
    if kind == "TIFF" and compression not in _TIFF_COMPRESSIONS:
        raise DecodeLimitError(
            f"a TIFF compressed as {safe_text(compression)}; save it with LZW or uncompressed"
        )
    if width < 1 or height < 1:
        raise DecodeLimitError("has no pixels; save it again")
    if max(width, height) > EDGE_LIMIT or width * height > limit:
        raise DecodeLimitError(
            f"an image bomb or too large: {width}×{height} pixels; the limit for its format is "
            f"{limit / 1e6:g} million, and {EDGE_LIMIT:,} along an edge; make it smaller"
        )


def _is_progressive(image: JpegImageFile, data: bytes) -> bool:
    """Whether a JPEG has several scans, all of which its decoder keeps in memory."""
    if image.info.get("progressive"):
        return True
    position = 2
    while (position := data.find(b"\xff", position)) >= 0:
        marker = data[position + 1 : position + 2]
        if marker == _START_OF_SCAN[1:]:
            return data[position + 4] < image.layers
        if marker == b"\xff":
            position += 1
        elif marker in _MARKERS_WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False

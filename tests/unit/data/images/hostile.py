"""Hostile and broken image files, as bytes."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

PNG_START = b"\x89PNG\r\n\x1a\n"


def encode_noise(
    kind: str, mode: str = "RGB", size: tuple[int, int] = (80, 60), **options: Any
) -> bytes:
    """A valid file of noise."""
    dice = np.random.default_rng(0)
    noise = dice.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(out, kind, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, before: bytes = b"", rows: bytes | None = None) -> bytes:
    """A grey PNG; `rows` are its pixels, with a filter byte at the start of each row."""
    pixels = zlib.compress(b"\0" * (width + 1) * height if rows is None else rows, 1)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return PNG_START + header + before + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(*tags: tuple[int, int, int, int], more: bytes = b"") -> bytes:
    """A TIFF of one directory: tags are (number, type, count, value)."""
    table = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + struct.pack("<I", 0) + more


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def _jpeg_with(*segments: bytes) -> bytes:
    jpeg = encode_noise("JPEG")
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def jpeg_claiming(width: int, height: int, *, progressive: bool = False) -> bytes:
    jpeg = encode_noise("JPEG", progressive=progressive)
    at = jpeg.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def jpeg_a_colour_at_a_time(width: int, height: int, before: bytes = b"") -> bytes:
    """A JPEG whose first scan has one of three components, so that a decoder buffers all of it."""
    jpeg = jpeg_claiming(width, height)
    at = jpeg.index(b"\xff\xda")
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    return jpeg[:2] + before + jpeg[2:at] + scan + jpeg[at + 14 :]


def _jpeg_of_many_scans() -> bytes:
    jpeg = encode_noise("JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * 2000 + b"\xff\xd9"


def rle_bitmap(width: int, height: int) -> bytes:
    body = b"\0\0" * height
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    start = 14 + 40 + 1024
    palette = bytes(range(256)) * 4
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + palette + body


def _gif_of_comments() -> bytes:
    gif = encode_noise("GIF", "L")
    at = gif.index(b",")
    return gif[:at] + b"!\xfe" + b"\x01a" * 4_000_000 + b"\0" + gif[at:]


def webp_claiming(width: int, height: int) -> bytes:
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    body = b"WEBPVP8L" + struct.pack("<I", 5) + b"\x2f" + bits + b"\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


@cache
def bombs() -> dict[str, bytes]:
    """Small files that need many pixels, much memory or much time."""
    icc = chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 1_000_000, 9))
    exif = segment(0xE1, b"Exif\0\0" + b"\0" * 65_000)
    size = ((256, 4, 1, 16), (257, 4, 1, 16))
    return {
        "claims a hundred thousand squared.png": png(100_000, 100_000, rows=b"\0" * 1000),
        "is really that large.png": png(8_000, 8_000),
        "is one line of millions.png": png(20_000_000, 1),
        "claims to be long and thin.png": png(1, 2_000_000_000, rows=b"\0\0"),
        "has no pixels.png": png(0, 5),
        "claims much.jpg": jpeg_claiming(65_500, 65_500),
        "claims much.webp": webp_claiming(16_383, 16_383),
        "claims much.gif": b"GIF89a"
        + struct.pack("<HH", 65_535, 65_535)
        + encode_noise("GIF", "L")[10:],
        "claims much.bmp": b"BM"
        + b"\0" * 8
        + struct.pack("<II", 54, 40)
        + struct.pack("<iiHHIIiiII", 90_000, 90_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "claims much.tif": tiff((256, 4, 1, 90_000), (257, 4, 1, 90_000), (273, 4, 1, 8)),
        "has a text bomb.png": png(9, 9, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 10**8))),
        "has a profile bomb.png": png(
            9, 9, chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 10**8))
        ),
        "has thousands of profiles.png": png(9, 9, icc * 5_000),
        "has a million chunks.png": png(9, 9, chunk(b"abCd", b"") * 1_000_000),
        "has a million comments.jpg": _jpeg_with(segment(0xFE, b"") * 1_000_000),
        "has endless notes.jpg": _jpeg_with(exif * 700),
        "has thousands of scans.jpg": _jpeg_of_many_scans(),
        "has millions of comments.gif": _gif_of_comments(),
        "has slow rows.bmp": rle_bitmap(5_000, 5_000),
        "has a huge table.tif": tiff(
            *size, (258, 3, 4_000_000, 8), (273, 4, 1, 8), more=b"\x01\x02" * 4_000_000
        ),
        "has overlapping tables.tif": tiff(
            *((number, 7, 4_000_000, 8) for number in range(50_000, 51_000)), more=bytes(4_000_000)
        ),
        "is compressed as lzma.tif": tiff(
            *size, (258, 3, 1, 8), (259, 3, 1, 34_925), (262, 3, 1, 1), (273, 4, 1, 8)
        ),
        "is too large.png": PNG_START + bytes(49 * 2**20),
    }


def broken() -> dict[str, bytes]:
    """Files that are truncated, damaged, or not images at all."""
    valid = {
        "png": encode_noise("PNG"),
        "jpg": encode_noise("JPEG"),
        "webp": encode_noise("WEBP", lossless=True),
        "bmp": encode_noise("BMP"),
        "gif": encode_noise("GIF", "L"),
        "tif": encode_noise("TIFF", compression="tiff_lzw"),
    }
    damaged = bytearray(png(40, 40))
    damaged[41] ^= 0xFF
    return {
        **{f"cut in half.{suffix}": data[: len(data) // 2] for suffix, data in valid.items()},
        **{f"cut after the start.{suffix}": data[:20] for suffix, data in valid.items()},
        "damaged.png": bytes(damaged),
        "empty.png": b"",
        "one byte.png": b"\x89",
        "text.png": b"once upon a time",
        "page.png": b"<!doctype html><html><body>Please log in</body></html>",
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "another kind.png": encode_noise("PPM"),
        "pickle.png": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "big tiff.tif": b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + bytes(64),
        "too many channels.tif": tiff(
            (256, 4, 1, 9), (257, 4, 1, 9), (258, 3, 1, 8), (277, 4, 1, 900)
        ),
        "nowhere.tif": b"II*\0" + struct.pack("<I", 0xFFFFFFF0),
        "only the start.tif": b"II*\0",
    }

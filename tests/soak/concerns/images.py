"""Image files in any state: damaged, cut off, bombs, unusual kinds of good ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fmnist_tui.data.images.decode import open_image
from fmnist_tui.data.images.prepare import Preparation, prepare
from tests.e2e.support import QUICK, Home
from tests.soak.concern import Concern, Tally, spread
from tests.soak.hostile_files import (
    HostileFile,
    file_made_by,
    file_of,
    find_unsafe_lines,
    mutations,
    read_all,
    truncations,
)

FORMATS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP", "tiff": "TIFF"}
MUTATIONS = 5000
"""Of each format; and one truncation at each hundredth."""
PREPARATION = Preparation(size=28, channels=1)


def run(tally: Tally, tries: int) -> None:
    damaged, unusual = _damaged(), [*_good(), *_bombs()]
    total = len(damaged) + len(unusual)
    read_all(tally, spread(damaged, -(-tries * len(damaged) // total)), _read)
    # Large images take a second each by themselves; the machine may be slower than that.
    read_all(tally, spread(unusual, max(6, tries * len(unusual) // total)), _read, seconds=2.0)
    if tries > MUTATIONS:
        _predict(tally, [*spread(damaged, 6), *unusual])


def _read(path: Path) -> None:
    image = open_image(path)
    assert np.isfinite(image.colour).all(), "no numbers"
    assert image.colour.min() >= 0 and image.colour.max() <= 255.5, "beyond white"
    assert prepare(image, PREPARATION).image.shape == (28, 28, 1)


def _predict(tally: Tally, files: list[HostileFile]) -> None:
    """The command says a class or one line about each."""
    home = Home(tally.folder)
    assert home.run("train", *QUICK, "--epochs", "1").returncode == 0
    place = tally.folder / "predict"
    place.mkdir()
    for number, file in enumerate(files):
        file.write(place / f"{number:04}-{file.name}")
    done = home.run("predict", "last", str(place))
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    with tally.trial("predict with all of them"):
        assert "Traceback" not in done.stderr and len(lines) <= len(files) + 1, done.stderr[-300:]
        faults = [fault for line in lines for fault in find_unsafe_lines(line)]
        assert not faults, faults[0]


def _picture(mode: str = "RGB", side: int = 40) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _damaged() -> list[HostileFile]:
    files = []
    for suffix, kind in FORMATS.items():
        data = _saved(_picture(), kind)
        files += mutations(kind, f"image.{suffix}", data, MUTATIONS)
        files += truncations(kind, f"image.{suffix}", data)
    return files


def _good() -> list[HostileFile]:
    """Good images of kinds that are rarely seen, and some with nonsense beside the pixels."""
    frames = [_picture("P"), *[_picture("P").rotate(angle) for angle in (90, 180)]]
    animated: dict[str, Any] = {"save_all": True, "append_images": frames}
    deep = Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40)
    palette = _picture().quantize(16)
    cases: dict[str, tuple[str, bytes]] = {
        "an animated GIF": ("gif", _saved(frames[0], "GIF", **animated)),
        "an animated WebP": ("webp", _saved(frames[1], "WEBP", **animated)),
        "an animated PNG": ("png", _saved(frames[1], "PNG", **animated)),
        "LAB": ("tiff", _saved(Image.new("LAB", (40, 40), (120, 90, 90)), "TIFF")),
        "a CMYK JPEG": ("jpg", _saved(_picture("CMYK"), "JPEG")),
        "a CMYK TIFF": ("tiff", _saved(_picture("CMYK"), "TIFF")),
        "16 bits": ("png", _saved(deep, "PNG")),
        "16 bits, TIFF": ("tiff", _saved(deep, "TIFF")),
        "floats": ("tiff", _saved(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF")),
        "one bit": ("png", _saved(_picture("1"), "PNG")),
        "a palette with a transparent colour": ("png", _saved(palette, "PNG", transparency=3)),
        "a palette of transparencies": ("png", _saved(palette, "PNG", transparency=b"\0\x80")),
        "a broken ICC profile": ("png", _saved(_picture(), "PNG", icc_profile=b"no profile" * 99)),
        "a broken ICC profile, JPEG": ("jpg", _saved(_picture(), "JPEG", icc_profile=b"\0" * 999)),
        "broken EXIF": ("jpg", _saved(_picture(), "JPEG", exif=b"Exif\0\0II*\0" + b"\xff" * 99)),
        "a comment with escapes": ("gif", _saved(_picture("P"), "GIF", comment=b"\x1b[31m" * 40)),
        "one pixel": ("png", _saved(_picture(side=1), "PNG")),
        "a progressive JPEG": ("jpg", _saved(_picture(), "JPEG", progressive=True)),
        "another format's name": ("png", _saved(_picture(), "JPEG")),
        "nothing": ("png", b""),
    }
    return [file_of(what, f"image.{suffix}", data) for what, (suffix, data) in cases.items()]


def _bombs() -> list[HostileFile]:
    """More pixels, text or frames than their size lets expect."""
    huge: dict[str, tuple[str, Callable[[], bytes]]] = {
        "20,000×20,000 PNG": ("png", partial(_flat_png, 20_000, 20_000)),
        "6,300×6,300 PNG": ("png", partial(_flat_png, 6_300, 6_300)),
        "65,535×600 PNG": ("png", partial(_flat_png, 65_535, 600)),
        "2^31 wide PNG": ("png", partial(_flat_png, (1 << 31) - 1, 1)),
        "a PNG of 900 MB of text": ("png", _text_bomb),
        "20,000×20,000 BMP": ("bmp", lambda: _with_size(_saved(_picture(), "BMP"), 18, "<2i")),
        "20,000×20,000 GIF": ("gif", lambda: _with_size(_saved(_picture("P"), "GIF"), 6, "<2H")),
        "20,000×20,000 TIFF": ("tiff", partial(_large, "TIFF", compression="tiff_deflate")),
        "20,000×20,000 JPEG": ("jpg", partial(_large, "JPEG")),
        "12,000×12,000 WebP": ("webp", partial(_large, "WEBP", side=12_000, quality=1, method=0)),
        "200,000 empty chunks": ("png", _many_chunks),
    }
    return [file_made_by(what, f"image.{suffix}", make) for what, (suffix, make) in huge.items()]


def _large(kind: str, side: int = 20_000, **options: Any) -> bytes:
    return _saved(Image.new("L" if kind != "WEBP" else "RGB", (side, side)), kind, **options)


def _with_size(data: bytes, place: int, form: str) -> bytes:
    size = struct.pack(form, 20_000, 20_000)
    return data[:place] + size + data[place + len(size) :]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(header: bytes, *chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(chunks) + _chunk(b"IEND", b"")


def _flat_png(width: int, height: int) -> bytes:
    """Black, a bit for each pixel."""
    packer, rows = zlib.compressobj(1), min(height, 20_000)
    row = bytes(1 + min((width + 7) // 8, 10_000))
    pixels = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return _png(struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0), _chunk(b"IDAT", pixels))


def _text_bomb() -> bytes:
    packer = zlib.compressobj(1)
    text = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    chunks = [_chunk(b"zTXt", b"key\0\0" + text)] * 9
    return _png(struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0), *chunks)


def _many_chunks() -> bytes:
    chunks = [_chunk(b"teXt", b"")] * 200_000
    return _png(struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0), *chunks)


CONCERN = Concern("images", run, short=300, full=30_600)

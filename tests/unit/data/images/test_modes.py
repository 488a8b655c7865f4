"""Every mode and format is decoded to the colours that a person sees."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from fmnist_tui.data.images.decode import EDGE, DecodedImage, open_image
from fmnist_tui.data.images.pixels import apply_orientation, extract_planes
from fmnist_tui.util.errors import UserError
from tests.image_files import save_image
from tests.unit.data.images.hostile import chunk, png


def save_and_open(image: Image.Image, path: Path, **options: Any) -> DecodedImage:
    image.save(path, **options)
    return open_image(path)


def grey_of(decoded: DecodedImage) -> list[float]:
    assert decoded.colour.shape[2] == 1
    return [round(float(value), 2) for value in decoded.colour[..., 0].ravel()]


def sixteen(*values: int) -> Image.Image:
    return Image.fromarray(np.array([values], np.uint16))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_depth(tmp_path: Path, suffix: str) -> None:
    decoded = save_and_open(sixteen(0, 1000, 32_768, 65_535), tmp_path / f"a.{suffix}")
    assert grey_of(decoded) == [0, 3.89, 127.5, 255]
    assert decoded.alpha is None


def test_a_big_endian_tiff_of_sixteen_bits_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = np.array([[0, 1000, 65_535]], ">u2")
    Image.frombytes("I;16B", (3, 1), values.tobytes()).save(path)
    assert grey_of(open_image(path)) == [0, 3.89, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 1], [0, 255, 255]),
        ([0, 100, 255], [0, 100, 255]),
        ([257, 1000, 60_000], [1, 3.89, 233.46]),
        ([-500, 0, 1500], [0, 63.75, 255]),
        ([0, 50_000, 100_000], [0, 127.5, 255]),
        ([-7, -7, -7], [0, 0, 0]),
    ],
)
def test_integers_of_unknown_range_use_the_narrowest_usual_one(
    tmp_path: Path, values: list[int], expected: list[float]
) -> None:
    decoded = save_and_open(Image.fromarray(np.array([values], np.int32)), tmp_path / "a.tif")
    assert decoded.mode == "I"
    assert grey_of(decoded) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 127.5, 255]),
        ([0, 20, 200], [0, 20, 200]),
        ([-1, 0, 3], [0, 63.75, 255]),
        ([0, float("nan"), 1], [0, 0, 255]),
        ([0, float("inf"), 1], [0, 255, 255]),
        ([float("nan")] * 3, [0, 0, 0]),
    ],
)
def test_floats_of_unknown_range_use_the_narrowest_usual_one(
    tmp_path: Path, values: list[float], expected: list[float]
) -> None:
    decoded = save_and_open(Image.fromarray(np.array([values], np.float32)), tmp_path / "a.tif")
    assert decoded.mode == "F"
    assert grey_of(decoded) == expected


def test_one_bit_is_black_or_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 255, 0, 255]], np.uint8)).convert("1")
    for name, options in (("a.png", {}), ("a.tif", {"compression": "group4"}), ("a.bmp", {})):
        assert grey_of(save_and_open(image, tmp_path / name, **options)) == [0, 255, 0, 255]


def test_opaque_colours_are_unchanged(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 200, 0], [1, 2, 3]]], np.uint8)
    for name in ("a.png", "a.bmp", "a.tif", "a.gif", "a.webp"):
        options = {"lossless": True} if name == "a.webp" else {}
        decoded = save_and_open(Image.fromarray(colours), tmp_path / name, **options)
        assert decoded.colour.tolist() == colours.tolist(), name
        assert decoded.alpha is None, name


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    inks = [[(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255), (0, 255, 0, 128)]]
    image = Image.frombytes("CMYK", (4, 1), np.array(inks, np.uint8).tobytes())
    decoded = save_and_open(image, tmp_path / "a.tif")
    light = [[[255, 255, 255], [0, 255, 255], [0, 0, 0], [127, 0, 127]]]
    assert decoded.colour.tolist() == light


def test_cmyk_jpegs_are_inverted_only_with_the_adobe_marker(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (32, 32), (200, 0, 0, 40)).save(path, quality=95)
    data = path.read_bytes()
    with_adobe = open_image(path).colour.mean(axis=(0, 1))
    at = data.index(b"\xff\xee")
    path.write_bytes(data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :])
    without = open_image(path).colour.mean(axis=(0, 1))
    assert with_adobe == pytest.approx((55 * 215 / 255, 215, 215), abs=3)
    # The same bytes without inversion: cyan 55, magenta and yellow 255, black 215.
    assert without == pytest.approx((200 * 40 / 255, 0, 0), abs=3)


def test_transparent_colours_show_the_background(tmp_path: Path) -> None:
    pixels = [[[200, 100, 0, 255], [200, 100, 0, 0], [255, 255, 255, 0], [0, 0, 0, 51]]]
    decoded = save_and_open(Image.fromarray(np.array(pixels, np.uint8)), tmp_path / "a.png")
    over_white = decoded.composite(255)[0].tolist()
    assert over_white == [[200, 100, 0], [255, 255, 255], [255, 255, 255], [204, 204, 204]]
    assert decoded.composite(0)[0].tolist() == [[200, 100, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_transparent_grey_shows_the_background(tmp_path: Path) -> None:
    image = Image.frombytes("LA", (3, 1), bytes((10, 255, 10, 0, 0, 51)))
    decoded = save_and_open(image, tmp_path / "a.png")
    assert decoded.composite(255)[0, :, 0].tolist() == [10, 255, 204]


def test_palette_transparency_may_be_one_colour_or_an_alpha_per_colour(tmp_path: Path) -> None:
    image = Image.frombytes("P", (3, 1), bytes((0, 1, 2)))
    image.putpalette([10, 20, 30, 40, 50, 60, 0, 0, 0])
    for name, transparency in (("a.png", 1), ("a.gif", 1), ("b.png", bytes((255, 0, 255)))):
        decoded = save_and_open(image, tmp_path / name, transparency=transparency)
        expected = [[10, 20, 30], [255, 255, 255], [0, 0, 0]]
        assert decoded.composite(255)[0].tolist() == expected, name
    graded = save_and_open(image, tmp_path / "c.png", transparency=bytes((255, 255, 51)))
    assert graded.composite(255)[0, 2].tolist() == [204, 204, 204]


@pytest.mark.parametrize(
    ("image", "transparency", "expected"),
    [
        (Image.frombytes("L", (2, 1), bytes((7, 9))), 7, [[255, 255, 255], [9, 9, 9]]),
        (
            Image.frombytes("RGB", (2, 1), bytes((1, 2, 3, 4, 5, 6))),
            (1, 2, 3),
            [[255] * 3, [4, 5, 6]],
        ),
        (Image.frombytes("1", (2, 1), b"\x40"), 0, [[255, 255, 255], [255, 255, 255]]),
    ],
)
def test_one_colour_can_be_transparent_without_a_palette(
    tmp_path: Path,
    image: Image.Image,
    transparency: int | tuple[int, ...],
    expected: list[list[int]],
) -> None:
    decoded = save_and_open(image, tmp_path / "a.png", transparency=transparency)
    assert decoded.composite(255)[0].tolist() == expected


def test_one_value_of_16_bit_grey_can_be_transparent(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    rows = b"".join(value.to_bytes(2, "big") for value in (1000, 65_535))
    data = png16(2, 1, 0, b"\0" + rows, chunk(b"tRNS", (1000).to_bytes(2, "big")))
    path.write_bytes(data)
    decoded = open_image(path)
    assert decoded.composite(255)[0, :, 0].tolist() == [255, 255]
    assert decoded.composite(0)[0, :, 0].tolist() == [0, 255]


def test_a_transparent_colour_may_have_sixteen_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.array([[0xAB12, 0, 0], [0, 65_535, 0]], ">u2").tobytes()
    colour = np.array([0xAB12, 0, 0], ">u2").tobytes()
    path.write_bytes(png16(2, 1, 2, b"\0" + pixels, chunk(b"tRNS", colour)))
    assert open_image(path).composite(255)[0].tolist() == [[255, 255, 255], [0, 255, 0]]


def png16(width: int, height: int, colour_type: int, rows: bytes, before: bytes) -> bytes:
    """A PNG with sixteen bits per channel, which Pillow cannot write with transparency."""
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    start = png(1, 1)[:8]
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    chunks = [chunk(name, data) for name, data in parts]
    return start + chunks[0] + before + chunks[1] + chunks[2]


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBa", "RGBA"])
def test_every_mode_with_alpha_is_composited(mode: str) -> None:
    half = Image.new("RGBA", (2, 2), (100, 100, 100, 51))
    image = half.convert("LA").convert("La") if mode == "La" else half.convert(mode)
    colour, alpha = extract_planes(image, 1)
    assert alpha is not None
    assert alpha == pytest.approx(0.2)
    assert colour == pytest.approx(20, abs=1)


@pytest.mark.parametrize("mode", ["RGB", "YCbCr", "HSV", "LAB", "CMYK", "RGBX", "P", "L", "1"])
def test_every_opaque_mode_shows_white_as_white(mode: str) -> None:
    colour, alpha = extract_planes(Image.new("RGB", (2, 2), "white").convert(mode), 1)
    assert alpha is None
    assert colour == pytest.approx(255, abs=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_images_are_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.zeros((24, 40), np.uint8)
    upright[:12, :20], upright[12:, :20], upright[:12, 20:] = 200, 120, 60
    path = save_image(
        Image.fromarray(upright), tmp_path / f"a.{suffix}", orientation, **_best(suffix)
    )
    decoded = open_image(path)
    assert decoded.size == (40, 24)
    assert decoded.orientation == orientation
    assert decoded.colour.mean(axis=2) == pytest.approx(upright, abs=12)


def _best(suffix: str) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {"jpg": {"quality": 100}, "webp": {"lossless": True}}
    return options.get(suffix, {})


def test_a_png_may_have_its_exif_after_its_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = png(4, 3)
    path = tmp_path / "a.png"
    path.write_bytes(plain[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + plain[-12:])
    decoded = open_image(path)
    assert (decoded.size, decoded.orientation) == ((3, 4), 6)
    assert decoded.colour.shape == (4, 3, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_by_pillow(orientation: int) -> None:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    image = Image.fromarray(numbers)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert apply_orientation(numbers, orientation).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "notes",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage of a camera",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x01\0\0\0x\0\0\0\0\0\0\0",
    ],
)
def test_damaged_exif_data_does_not_make_an_image_unreadable(tmp_path: Path, notes: bytes) -> None:
    path = tmp_path / "a.jpg"
    Image.new("L", (20, 10), 90).save(path, exif=notes)
    decoded = open_image(path)
    assert decoded.size == (20, 10)
    assert decoded.orientation == 1


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_only_the_first_frame_is_used(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("L", (30, 20), shade).convert("RGB") for shade in (40, *range(100, 250))]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **_best(suffix))
    decoded = open_image(path)
    assert decoded.size == (30, 20)
    assert decoded.colour == pytest.approx(40, abs=1)


def test_a_stereo_image_is_its_first_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("L", (30, 20), 40).save(
        path, format="MPO", save_all=True, append_images=[Image.new("L", (30, 20), 200)]
    )
    decoded = open_image(path)
    assert decoded.format == "JPEG"
    assert decoded.colour == pytest.approx(40, abs=1)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "F"])
def test_large_images_are_reduced_by_averaging(tmp_path: Path, mode: str) -> None:
    fine = np.indices((600, 2300)).sum(axis=0) % 2 * 200.0
    fine[:, 1150:] = 50
    image = _in_mode(fine, mode)
    decoded = save_and_open(image, tmp_path / ("a.tif" if mode in ("I;16", "F") else "a.png"))
    assert decoded.size == (2300, 600)
    assert decoded.colour.shape[:2] == (200, 767)
    shades = decoded.composite(255).mean(axis=2)
    assert shades[:, :380] == pytest.approx(100, abs=12)
    assert shades[:, 390:] == pytest.approx(50, abs=1)


def _in_mode(shades: npt.NDArray[np.float64], mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray((shades * 257).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(shades.astype(np.float32))
    return Image.fromarray(shades.astype(np.uint8)).convert(mode)


def test_a_large_jpeg_is_decoded_at_a_reduced_size(tmp_path: Path) -> None:
    slope = np.tile(np.linspace(0, 255, 4000), (3000, 1)).astype(np.uint8)
    decoded = save_and_open(Image.fromarray(slope), tmp_path / "a.jpg", quality=95)
    assert decoded.size == (4000, 3000)
    assert max(decoded.colour.shape) <= EDGE
    across = decoded.colour[..., 0].mean(axis=0)
    assert across == pytest.approx(np.linspace(0, 255, len(across)), abs=2)


def test_a_long_thin_image_keeps_every_row(tmp_path: Path) -> None:
    decoded = save_and_open(Image.new("L", (1, 5000), 30), tmp_path / "a.png")
    assert decoded.size == (1, 5000)
    assert decoded.colour.shape == (1000, 1, 1)
    assert decoded.colour == pytest.approx(30)


def test_an_image_can_come_from_an_array() -> None:
    grey = np.array([[0, 255]], np.uint8)
    assert DecodedImage.from_array(grey).colour.tolist() == [[[0], [255]]]
    colours = np.zeros((2, 3, 3), np.uint8)
    assert (DecodedImage.from_array(colours).size, DecodedImage.from_array(colours).mode) == (
        (3, 2),
        "RGB",
    )


def test_other_formats_are_an_error(tmp_path: Path) -> None:
    for kind in ("PPM", "ICO", "PCX", "TGA", "ICNS"):
        out = io.BytesIO()
        Image.new("RGB", (32, 32)).save(out, kind)
        path = tmp_path / f"{kind}.png"
        path.write_bytes(out.getvalue())
        with pytest.raises(UserError, match="not an image"):
            open_image(path)


SAMPLES = Path(__file__).parents[4] / "assets" / "samples"


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_samples_are_small_and_can_be_read(path: Path) -> None:
    decoded = open_image(path)
    assert path.stat().st_size < 20_000
    assert decoded.size[0] >= 300
    assert ("cut-out" in path.name) == (decoded.alpha is not None)
    assert ("turned" in path.name) == (decoded.orientation != 1)

"""A model sees the object as in its data: result, inverted, scaled, centred."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.data.images.decode import DecodedImage, open_image
from fmnist_tui.data.images.prepare import Preparation, PreparedImage, prepare
from fmnist_tui.util.errors import UserError
from tests.image_files import save_photo

Bytes = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

GARMENTS = Preparation.for_dataset(DATASETS["fashion"])
DIGITS = Preparation.for_dataset(DATASETS["mnist"])


def scene(
    box: Box, size: tuple[int, int] = (300, 300), background: float = 255, shade: float = 40
) -> Bytes:
    """A rectangle (left, top, right, bottom) on a uniform background."""
    image = np.full(size[::-1], background, np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = shade
    return image


def prepared_image(image: Bytes, preparation: Preparation = GARMENTS) -> Bytes:
    return prepare(DecodedImage.from_array(image), preparation).image[..., 0]


def extent(image: Bytes, over: int = 127) -> Box:
    rows, columns = np.flatnonzero((image > over).any(1)), np.flatnonzero((image > over).any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def step_names(prepared: PreparedImage) -> list[str]:
    return [step.name for step in prepared.steps]


@given(
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.tuples(st.integers(10, 140), st.integers(10, 140)),
    st.sampled_from([(255, 0), (255, 200), (0, 255), (30, 90), (180, 240), (100, 20)]),
)
@settings(max_examples=60, deadline=None)
def test_a_rectangle_is_found_at_any_position_and_brightness(
    corner: tuple[int, int], sides: tuple[int, int], light: tuple[int, int]
) -> None:
    (left, top), (width, height) = corner, sides
    image = prepared_image(
        scene((left, top, left + width, top + height), background=light[0], shade=light[1])
    )
    longest = max(sides)
    wide, high = (max(1, round(side * 28 / longest)) for side in sides)
    result = extent(image)
    assert (result[2] - result[0], result[3] - result[1]) == (wide, high)
    assert result[0] == (28 - wide + 1) // 2
    assert result[1] == (28 - high + 1) // 2
    assert image.max() == 255
    assert image[image <= 127].max(initial=0) == 0


@pytest.mark.parametrize(
    ("background", "shade", "inverted"),
    [
        *[(255, 0, True), (250, 235, True), (128, 100, True), (60, 10, True)],
        *[(0, 255, False), (5, 30, False), (120, 160, False), (200, 255, False)],
    ],
)
def test_objects_darker_than_the_background_are_inverted(
    background: int, shade: int, inverted: bool
) -> None:
    prepared = prepare(
        DecodedImage.from_array(scene((80, 90, 200, 210), background=background, shade=shade)),
        GARMENTS,
    )
    assert ("inverted" in step_names(prepared)) is inverted
    assert prepared.image[14, 14] == 255
    assert not prepared.notes


def test_inverting_can_be_disabled_or_forced() -> None:
    dark = DecodedImage.from_array(scene((80, 90, 200, 210), background=255, shade=0))
    light = DecodedImage.from_array(scene((80, 90, 200, 210), background=0, shade=255))
    never = dataclasses.replace(GARMENTS, invert="never")
    always = dataclasses.replace(GARMENTS, invert="always")
    assert prepare(light, never).image[14, 14] == 255
    assert prepare(dark, always).image[14, 14] == 255
    assert prepare(dark, never).notes == ("nothing stands out from the background",)
    assert prepare(light, always).notes == ("nothing stands out from the background",)


def test_data_may_be_dark_on_light() -> None:
    preparation = dataclasses.replace(GARMENTS, light_on_dark=False)
    for background, shade in ((255, 0), (0, 255)):
        prepared = prepare(
            DecodedImage.from_array(scene((80, 140, 200, 160), background=background, shade=shade)),
            preparation,
        )
        assert ("inverted" in step_names(prepared)) is (background == 0)
        assert prepared.image[14, 14] == 0
        assert prepared.image[0, 0] == 255


@pytest.mark.parametrize("shade", [0, 7, 128, 255])
def test_a_blank_image_gets_a_note_and_stays_blank(shade: int) -> None:
    prepared = prepare(DecodedImage.from_array(np.full((50, 70), shade, np.uint8)), GARMENTS)
    assert prepared.notes == ("nothing stands out from the background",)
    assert prepared.image.max() == 0


def test_grain_alone_is_not_an_object() -> None:
    dice = np.random.default_rng(0)
    grain = np.clip(dice.normal(200, 6, (300, 400)), 0, 255).astype(np.uint8)
    assert prepare(DecodedImage.from_array(grain), GARMENTS).notes


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3), (27, 29)])
def test_images_of_any_shape_can_be_prepared(shape: tuple[int, int]) -> None:
    image = np.full(shape, 255, np.uint8)
    image[shape[0] // 3 : 1 + shape[0] // 2, shape[1] // 3 : 1 + shape[1] // 2] = 0
    for preparation in (GARMENTS, DIGITS, Preparation(crop=False), Preparation(size=1)):
        prepared = prepare(DecodedImage.from_array(image), preparation)
        assert prepared.image.shape == (preparation.size, preparation.size, 1)


def test_a_thin_line_stays_visible() -> None:
    image = np.full((400, 300), 255, np.uint8)
    image[50:350, 140:141] = 0
    assert extent(prepared_image(image)) == (14, 0, 15, 28)


def test_an_image_of_the_right_size_is_used_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 120, (28, 28), dtype=np.uint8)
    image[:2], image[:, :3], image[-1], image[:, -2:] = 0, 0, 0, 0
    for variant in (image, 255 - image):
        prepared = prepare(DecodedImage.from_array(variant), GARMENTS)
        assert prepared.image[..., 0].tolist() == image.tolist()
        assert prepared.notes == ("already 28×28: used unchanged",)


def photo(box: Box, tilt: float, noise: float, quality: int) -> DecodedImage:
    """A dark rectangle as a camera sees it: unevenly lit, grainy, compressed."""
    dice = np.random.default_rng(1)
    down, across = np.indices((400, 500)) / 450.0
    light = 215 + tilt * (across - 0.6 * down)
    left, top, right, bottom = box
    light[top:bottom, left:right] *= 0.2
    light += dice.normal(0, noise, light.shape)
    file = io.BytesIO()
    image = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).convert("RGB")
    image.filter(ImageFilter.GaussianBlur(1)).save(file, "JPEG", quality=quality)
    return DecodedImage.from_array(np.asarray(Image.open(file)))


@pytest.mark.parametrize("tilt", [0, 40])
@pytest.mark.parametrize(("noise", "quality"), [(0, 95), (3, 75), (12, 50)])
def test_uneven_light_grain_and_compression_become_a_black_background(
    tilt: float, noise: float, quality: int
) -> None:
    prepared = prepare(photo((120, 60, 260, 340), tilt, noise, quality), GARMENTS)
    image = prepared.image[..., 0]
    assert extent(image) == pytest.approx((7, 0, 21, 28), abs=1)
    assert image[:, :6].max() == 0
    assert image[:, 23:].max() == 0


def test_a_light_object_is_found_on_an_unevenly_lit_background() -> None:
    down, across = np.indices((400, 500)) / 500.0
    light = 150 + 80 * across - 40 * down
    light[100:300, 200:300] -= 25
    image = prepared_image(light.astype(np.uint8))
    assert extent(image) == (7, 0, 21, 28)
    assert image[:, :6].max() == 0


def test_an_invisible_trace_is_not_an_object() -> None:
    trace = scene((80, 90, 200, 210), background=200, shade=199)
    assert prepare(DecodedImage.from_array(trace), GARMENTS).notes


def test_dust_is_not_part_of_the_object() -> None:
    image = scene((100, 100, 180, 200))
    clean = prepared_image(image)
    for row, column in ((20, 20), (270, 40), (30, 280)):
        image[row : row + 3, column : column + 3] = 0
    assert prepared_image(image).tolist() == clean.tolist()


def test_all_parts_of_an_object_are_kept() -> None:
    image = scene((60, 100, 110, 200))
    image[150:180, 220:240] = 40
    assert extent(prepared_image(image)) == (0, 6, 28, 22)


def test_an_object_may_touch_the_border() -> None:
    assert extent(prepared_image(scene((0, 100, 150, 250)))) == (0, 0, 28, 28)
    assert extent(prepared_image(scene((0, 220, 300, 300)))) == (0, 11, 28, 18)


def test_the_frame_is_recovered_if_outer_pixels_are_nearly_black() -> None:
    small = np.zeros((28, 28), np.uint8)
    small[0, 10:18], small[1:27, 6:22], small[27, 6:22] = 20, 220, 25
    large = Image.fromarray(small).resize((336, 336), Image.Resampling.BILINEAR)
    paper = Image.new("L", (500, 480), 0)
    paper.paste(large, (31, 77))
    image = prepared_image(255 - np.asarray(paper))
    assert extent(image, 100) == (6, 1, 22, 27)
    assert 0 < image[0, 14] < 50


def test_images_invisible_on_white_are_laid_over_black() -> None:
    shades = np.full((200, 200, 2), 255, np.uint8)
    shades[..., 1] = 255 - scene((50, 40, 150, 160), (200, 200), shade=0)
    image = Image.fromarray(shades, "LA")
    prepared = prepare(save_and_open(image), GARMENTS)
    assert step_names(prepared)[:2] == ["upright", "over black"]
    assert prepared.notes == ("invisible on white, so laid over black",)
    assert extent(prepared.image[..., 0]) == (3, 0, 26, 28)


def save_and_open(image: Image.Image) -> DecodedImage:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        image.save(path)
        return open_image(path)


def stroke(points: list[tuple[int, int]], width: int = 24) -> Bytes:
    """A digit in ink on paper."""
    image = Image.new("L", (500, 600), 255)
    ImageDraw.Draw(image).line(points, fill=10, width=width, joint="curve")
    return np.asarray(image)


@pytest.mark.parametrize(
    "points",
    [
        [(100, 100), (350, 100), (180, 480)],
        [(250, 60), (250, 520)],
        [(120, 100), (120, 300), (330, 300), (330, 120), (330, 540)],
        [(90, 500), (90, 90), (120, 90), (120, 500), (400, 500)],
    ],
    ids=["seven", "one", "four", "heavy on the left"],
)
def test_digits_are_scaled_to_twenty_pixels_and_centred_by_mass(
    points: list[tuple[int, int]],
) -> None:
    prepared = prepare(DecodedImage.from_array(stroke(points)), DIGITS)
    image = prepared.image[..., 0].astype(float)
    left, top, right, bottom = extent(prepared.image[..., 0], 60)
    assert max(right - left, bottom - top) in (19, 20)
    places = np.arange(28)
    assert image.sum(0) @ places / image.sum() == pytest.approx(14, abs=0.51)
    assert image.sum(1) @ places / image.sum() == pytest.approx(14, abs=0.51)
    assert step_names(prepared)[-2:] == ["scaled", "centred"]


def test_centring_by_mass_keeps_the_object_inside() -> None:
    image = np.zeros((280, 280), np.uint8)
    image[20:260, 20:30] = 30
    image[250:260, 20:260] = 30
    image[20:50, 20:50] = 255
    preparation = dataclasses.replace(GARMENTS, fit=26 / 28, centre="mass")
    result = prepared_image(image, preparation)
    assert extent(result, 2) == (2, 2, 28, 28)


def test_the_steps_show_every_stage() -> None:
    colours = np.full((120, 90, 4), (250, 250, 250, 0), np.uint8)
    colours[30:90, 30:60] = (200, 40, 40, 255)
    prepared = prepare(save_and_open(Image.fromarray(colours)), GARMENTS)
    names = ["upright", "over white", "grey", "inverted", "cropped", "squared", "scaled"]
    assert step_names(prepared) == names
    shapes = [step.image.shape for step in prepared.steps]
    assert shapes[:3] == [(120, 90, 3), (120, 90, 3), (120, 90, 1)]
    assert shapes[4:] == [(60, 30, 1), (60, 60, 1), (28, 28, 1)]
    assert all(step.image.dtype == np.uint8 for step in prepared.steps)
    assert prepared.steps[-1].image is prepared.image
    assert prepared.steps[0].caption == "90×120 PNG RGBA"
    assert prepared.steps[0].image[0, 0].tolist() == [128, 128, 128]
    assert prepared.steps[1].image[0, 0].tolist() == [255, 255, 255]
    assert prepared.steps[2].image[60, 45, 0] == round(0.299 * 200 + 0.701 * 40)


def test_a_rotated_image_has_a_note() -> None:
    decoded = dataclasses.replace(DecodedImage.from_array(scene((80, 90, 200, 210))), orientation=6)
    assert "EXIF orientation 6" in prepare(decoded, GARMENTS).steps[0].caption


def test_a_model_with_three_channels_sees_grey_in_each() -> None:
    preparation = Preparation.for_dataset(DATASETS["fashion"], size=64, channels=3)
    image = prepare(DecodedImage.from_array(scene((80, 90, 200, 190))), preparation).image
    assert image.shape == (64, 64, 3)
    assert (image == image[..., :1]).all()


def test_uncropped_colour_datasets_keep_colours_and_surroundings() -> None:
    colours = np.full((100, 200, 3), (10, 200, 30), np.uint8)
    colours[40:60, 90:110] = (250, 0, 0)
    preparation = Preparation(size=40, channels=3, crop=False)
    prepared = prepare(DecodedImage.from_array(colours), preparation)
    assert step_names(prepared) == ["upright", "scaled"]
    assert prepared.image[0, 0].tolist() == [10, 200, 30]
    assert prepared.image[39, 39].tolist() == [10, 200, 30]
    assert prepared.image[20, 20].tolist() == pytest.approx([250, 0, 0], abs=5)
    reds = prepared.image[..., 0] > 127
    assert (reds.any(0).sum(), reds.any(1).sum()) == (4, 4)


def test_uncropped_grey_datasets_are_not_inverted_unless_requested() -> None:
    image = scene((80, 90, 200, 210), background=240, shade=20)
    plain = Preparation(crop=False, invert="never")
    assert prepared_image(image, plain)[0, 0] == 240
    assert prepared_image(image, dataclasses.replace(plain, invert="always"))[0, 0] == 15
    assert prepared_image(image, dataclasses.replace(plain, invert="auto"))[0, 0] == 15
    assert prepared_image(255 - image, dataclasses.replace(plain, invert="auto"))[0, 0] == 15


def test_an_enlarged_image_is_recovered(tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    apart = []
    for number in range(40):
        image = garment(dice)
        path = save_photo(image, tmp_path / str(number), dice)
        back = prepare(open_image(path), GARMENTS).image[..., 0]
        apart.append(np.abs(back.astype(int) - image).mean())
    assert np.median(apart) < 8
    assert max(apart) < 25


def garment(dice: np.random.Generator) -> Bytes:
    """Something soft-edged and textured that fills its frame from top to bottom."""
    half = dice.integers(4, 13) + 2 * np.sin(np.arange(28) / dice.uniform(2, 6))
    across = np.abs(np.arange(28) - 13.5)
    shade = dice.integers(90, 220) + dice.normal(0, 15, (28, 28)).cumsum(1) / 3
    inside = np.clip(half[:, None] - across + 0.5, 0, 1)
    image = np.clip(shade, 40, 250) * inside
    return np.asarray(np.rint(image * 255 / image.max()), np.uint8)


def test_a_preparation_round_trips_as_plain_values() -> None:
    for name, facts in DATASETS.items():
        preparation = Preparation.for_dataset(facts, 32, 3)
        assert Preparation.from_dict(preparation.as_dict()) == preparation, name
    assert DIGITS.fit == 20 / 28
    assert DIGITS.centre == "mass"
    assert (
        Preparation.for_dataset(dataclasses.replace(DATASETS["mnist"], crop=False)).invert
        == "never"
    )


def test_a_preparation_describes_itself_with_its_numbers() -> None:
    digits, garments = DIGITS.description, GARMENTS.description
    assert "20 pixels" in digits and "centre of mass in the middle of 28×28" in digits
    assert "28 pixels" in garments and "bounding box" in garments
    assert "light on dark" in garments and "0.299 R" in garments
    description = dataclasses.replace(
        GARMENTS, crop=False, invert="never", channels=3, size=64
    ).description
    assert "64×64" in description and "inverted" not in description and "grey" not in description


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0},
        {"size": 10**9},
        {"size": "28"},
        {"size": True},
        {"channels": 2},
        {"fit": 0.01},
        {"fit": 1.5},
        {"fit": float("nan")},
        {"centre": "moon"},
        {"invert": "sometimes"},
        {"crop": "yes"},
        {"surprise": 1},
    ],
)
def test_an_invalid_preparation_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Preparation.from_dict({**GARMENTS.as_dict(), **fields})

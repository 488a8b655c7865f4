"""Preparation of any image for a model: what the model sees resembles its training data.

`Preparation` describes how a dataset's makers cut out, scaled and centred objects; `prepare`
applies it and keeps every intermediate image, to show why a model sees what it sees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import Centre, DatasetInfo
from fmnist_tui.data.images.decode import DecodedImage
from fmnist_tui.data.images.find_object import ObjectBounds, find_object
from fmnist_tui.data.images.framing import (
    centre_by_mass,
    fit_rectangle,
    resize,
    sharpen,
    to_grey,
    to_square,
)
from fmnist_tui.data.images.pixels import Plane
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

Invert = Literal["auto", "never", "always"]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the images of a dataset were made; stored with every model trained on them.

    With `crop`, the object is cut out and its longer side takes the share `fit` of the
    square; otherwise the whole image is used. `light_on_dark` describes objects in the data;
    `invert` says whether an image is inverted to match: if needed, never or always.
    """

    size: int = 28
    channels: int = 1
    crop: bool = True
    fit: float = 1.0
    centre: Centre = "box"
    light_on_dark: bool = True
    invert: Invert = "auto"

    def __post_init__(self) -> None:
        valid = (
            1 <= self.size <= 1024
            and self.channels in (1, 3)
            and 0.5 <= self.fit <= 1
            and self.centre in get_args(Centre)
            and self.invert in get_args(Invert)
        )
        if not valid:
            raise UserError(f"invalid image preparation: {safe_text(self, 200)}")

    @classmethod
    def for_dataset(cls, info: DatasetInfo, size: int = 28, channels: int = 1) -> Preparation:
        """The preparation for a dataset, and models with input `size`×`size`×`channels`."""
        return cls(
            size=size,
            channels=channels,
            crop=info.crop,
            fit=info.fit,
            centre=info.centre,
            invert="auto" if info.crop else "never",
        )

    @property
    def description(self) -> str:
        """What `prepare` does, for users who have to do it without this program."""
        size = self.size
        upright = "upright by EXIF; transparent pixels over white"
        grey = "; grey = 0.299 R + 0.587 G + 0.114 B" if self.channels == 1 else ""
        contrast = "light on dark" if self.light_on_dark else "dark on light"
        inverted = {
            "auto": f"; inverted unless the object is {contrast}",
            "always": "; inverted",
            "never": "",
        }[self.invert]
        if not self.crop:
            square = f"padded to a square with the median of its border, scaled to {size}×{size}"
            return f"{upright}{grey}{inverted}; {square}"
        centre = {"box": "its bounding box", "mass": "its centre of mass"}[self.centre]
        return (
            f"{upright}{grey or '; grey, repeated in every channel'}{inverted}; background"
            f" subtracted and the object cut out; resized (Lanczos) to a longer side of"
            f" {_edge(self)} pixels, sharpened a little, brightest pixel scaled to 255; placed on 0"
            f" with {centre} in the middle of {size}×{size}; an image that is {size}×{size}"
            " already is used whole"
        )

    def as_dict(self) -> dict[str, int | float | str]:
        """The fields as plain values, for a checkpoint or an exported model."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preparation:
        """The inverse of `as_dict`; raises UserError for anything else."""
        kinds = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        if any(type(value) is not kinds.get(name) for name, value in fields.items()):
            raise UserError("the model does not say how its images were prepared; export it again")
        return cls(**fields)


@dataclass(frozen=True, slots=True, eq=False)
class PreparationStep:
    """An intermediate `image`, (height, width, 1 or 3)."""

    name: str
    caption: str
    image: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """What the model sees, (size, size, channels), the steps to it, and notes for the user."""

    image: Bytes
    steps: tuple[PreparationStep, ...]
    notes: tuple[str, ...] = ()


def prepare(image: DecodedImage, preparation: Preparation) -> PreparedImage:
    """The image as a model trained with this preparation expects it."""
    if preparation.crop:
        return _prepare_object(image, preparation)
    return _prepare_whole(image, preparation)


def _prepare_whole(image: DecodedImage, preparation: Preparation) -> PreparedImage:
    """For datasets that keep objects where they are in the photograph."""
    size, channels = preparation.size, preparation.channels
    steps = _first_steps(image)
    colour = image.composite(255)
    if channels == 1 and colour.shape[2] == 3:
        colour = to_grey(colour)[..., None]
        steps.append(_grey_step(colour))
    invert = preparation.invert == "always"
    if preparation.invert == "auto" and channels == 1:
        invert = find_object(colour[..., 0], None, size).dark == preparation.light_on_dark
    if invert:
        colour = 255 - colour
        steps.append(_inverted_step(colour))
    square = to_square(colour, size)
    result = _to_bytes(np.broadcast_to(square, (size, size, channels)))
    caption = f"padded to a square, scaled to {size}×{size}"
    steps.append(PreparationStep("scaled", caption, result))
    return PreparedImage(result, tuple(steps))


def _prepare_object(image: DecodedImage, preparation: Preparation) -> PreparedImage:
    """For datasets of objects that were cut out of their surroundings."""
    size, light_on_dark = preparation.size, preparation.light_on_dark
    steps = _first_steps(image)
    notes = []
    dark = {"auto": None, "never": not light_on_dark, "always": light_on_dark}[preparation.invert]
    edge = _edge(preparation)
    grey = to_grey(image.composite(255))
    bounds = find_object(grey, dark, edge)
    if bounds.box is None and image.alpha is not None:
        on_black = to_grey(image.composite(0))
        bounds_on_black = find_object(on_black, dark, edge)
        if bounds_on_black.box is not None:
            grey, bounds = on_black, bounds_on_black
            steps[-1] = _composite_step("black", image.composite(0))
            notes.append("invisible on white, so laid over black")
    if image.colour.shape[2] == 3:
        steps.append(_grey_step(grey))
    if bounds.dark == light_on_dark:
        steps.append(_inverted_step(255 - grey))
    if image.size == (size, size):
        notes.append(f"already {size}×{size}: used unchanged")
        result = _to_data(255 - grey if bounds.dark else grey, preparation, preparation.channels)
        steps.append(PreparationStep("unchanged", notes[-1], result))
        return PreparedImage(result, tuple(steps), tuple(notes))
    if bounds.box is None:
        notes.append("nothing stands out from the background")
    return PreparedImage(_frame(bounds, preparation, steps), tuple(steps), tuple(notes))


def _frame(bounds: ObjectBounds, preparation: Preparation, steps: list[PreparationStep]) -> Bytes:
    """The object in the middle of the model's square; appends each stage to `steps`."""
    size, channels = preparation.size, preparation.channels
    left, top, right, bottom = bounds.box or (0, 0, *bounds.light.shape[::-1])
    width, height = right - left, bottom - top
    new_width, new_height, x, y = fit_rectangle(width, height, _edge(preparation), size)
    cropped = bounds.light[top:bottom, left:right]
    small = np.clip(sharpen(resize(cropped, new_width, new_height)), 0, cropped.max())
    # All training images reach from black to white; so does this one, unless it is blank.
    gain = 255 / (float(small.max()) or 1.0) if bounds.box else 1.0
    square = np.zeros((size, size), np.float32)
    square[y : y + new_height, x : x + new_width] = small * gain

    cropped = cropped * gain
    caption = f"to the object, {width}×{height}" if bounds.box else "nothing to crop to"
    steps.append(PreparationStep("cropped", caption, _to_data(cropped, preparation)))
    side = round(max(width, height) / preparation.fit)
    _, _, across, down = fit_rectangle(width, height, max(width, height), side)
    padded = np.pad(cropped, ((down, side - height - down), (across, side - width - across)))
    caption = f"padded to {side}×{side}"
    steps.append(PreparationStep("squared", caption, _to_data(padded, preparation)))
    result = _to_data(square, preparation, channels)
    steps.append(PreparationStep("scaled", f"to {size}×{size}", result))
    if preparation.centre == "mass":
        square = centre_by_mass(square, (x, y, x + new_width, y + new_height))
        result = _to_data(square, preparation, channels)
        steps.append(PreparationStep("centred", "centre of mass in the middle", result))
    return result


def _edge(preparation: Preparation) -> int:
    """The length of the object's longer side in pixels of the model's square."""
    return max(1, round(preparation.size * preparation.fit))


def _first_steps(image: DecodedImage) -> list[PreparationStep]:
    width, height = image.size
    caption = f"{width}×{height} {image.format or 'drawn'} {image.mode}"
    if image.orientation != 1:
        caption += f", rotated by EXIF orientation {image.orientation}"
    # Transparent pixels are shown over grey.
    steps = [PreparationStep("upright", caption, _to_bytes(image.composite(128)))]
    if image.alpha is not None:
        steps.append(_composite_step("white", image.composite(255)))
    return steps


def _composite_step(background: str, colour: Plane) -> PreparationStep:
    caption = f"transparency laid over {background}"
    return PreparationStep(f"over {background}", caption, _to_bytes(colour))


def _grey_step(plane: Plane) -> PreparationStep:
    return PreparationStep("grey", "colours weighted by luma", _to_bytes(plane))


def _inverted_step(plane: Plane) -> PreparationStep:
    return PreparationStep("inverted", "to match the training data", _to_bytes(plane))


def _to_data(light: Plane, preparation: Preparation, channels: int = 1) -> Bytes:
    """A light object on black as it looks in the data, (height, width, channels)."""
    pixels = _to_bytes(light if preparation.light_on_dark else 255 - light)
    return pixels.repeat(channels, axis=2)


def _to_bytes(plane: Plane) -> Bytes:
    return np.atleast_3d(np.clip(np.rint(plane), 0, 255).astype(np.uint8))

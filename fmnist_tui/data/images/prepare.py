"""A picture of anything, made into what a model was trained on.

The makers of a data set cut objects out, scaled and centred them in a manner of their
own. `Preparation` states that manner; `prepare` follows it and keeps every picture on
the way, so that a person can see why a model sees what it sees.
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
from fmnist_tui.data.images.find_object import ObjectBounds, find
from fmnist_tui.data.images.framing import (
    centred_by_mass,
    placed,
    scaled,
    sharpened,
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
    """How the pictures of a data set were made; stored with every model trained on them.

    With `crop`, the object is cut out and its longer side takes the share `fit` of the
    square; without, the whole picture is used. `light_on_dark` says how objects stand
    out in the data; `invert` whether a picture may be, or always is, inverted to that end.
    """

    size: int = 28
    channels: int = 1
    crop: bool = True
    fit: float = 1.0
    centre: Centre = "box"
    light_on_dark: bool = True
    invert: Invert = "auto"

    def __post_init__(self) -> None:
        possible = (
            1 <= self.size <= 1024
            and self.channels in (1, 3)
            and 0.5 <= self.fit <= 1
            and self.centre in get_args(Centre)
            and self.invert in get_args(Invert)
        )
        if not possible:
            raise UserError(f"pictures cannot be prepared like this: {safe_text(self, 200)}")

    @classmethod
    def for_dataset(cls, info: DatasetInfo, size: int = 28, channels: int = 1) -> Preparation:
        """The manner of a data set, for models that take `size`×`size`×`channels`."""
        return cls(
            size=size,
            channels=channels,
            crop=info.crop,
            fit=info.fit,
            centre=info.centre,
            invert="auto" if info.crop else "never",
        )

    @property
    def in_words(self) -> str:
        """What `prepare` does, for whoever has to do it without this program."""
        size = self.size
        upright = "upright by EXIF; what is transparent over white"
        grey = "; grey = 0.299 R + 0.587 G + 0.114 B" if self.channels == 1 else ""
        stands = "light on dark" if self.light_on_dark else "dark on light"
        inverted = {
            "auto": f"; inverted unless the object stands {stands}",
            "always": "; inverted",
            "never": "",
        }[self.invert]
        if not self.crop:
            square = f"padded to a square with the median of its border, scaled to {size}×{size}"
            return f"{upright}{grey}{inverted}; {square}"
        centre = {"box": "its bounding box", "mass": "its centre of mass"}[self.centre]
        return (
            f"{upright}{grey or '; grey, repeated in every channel'}{inverted}; its ground taken"
            f" off and the object cut out; scaled (Lanczos) until its longer side is"
            f" {_edge(self)} pixels, sharpened a little, its brightest pixel made 255; put on 0"
            f" with {centre} in the middle of {size}×{size}; a picture that is {size}×{size}"
            " already is taken whole"
        )

    def as_dict(self) -> dict[str, int | float | str]:
        """The fields as plain values, for a checkpoint or an exported model."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preparation:
        """What `as_dict` gave; raises UserError for anything else."""
        kinds = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        if any(type(value) is not kinds.get(name) for name, value in fields.items()):
            raise UserError("the model does not say how its pictures were prepared; export it anew")
        return cls(**fields)


@dataclass(frozen=True, slots=True, eq=False)
class PreparationStep:
    """A stage on the way: `image` is (height, width, 1 or 3)."""

    name: str
    caption: str
    image: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What the model sees, (size, size, channels), how it came about, and what was odd."""

    image: Bytes
    steps: tuple[PreparationStep, ...]
    notes: tuple[str, ...] = ()


def prepare(picture: DecodedImage, how: Preparation) -> Prepared:
    """The picture as a model trained on such data would see it."""
    return _cut_out(picture, how) if how.crop else _whole(picture, how)


def _whole(picture: DecodedImage, how: Preparation) -> Prepared:
    """For data whose makers left each object where it was in its photograph."""
    steps = _first_steps(picture)
    colour = picture.over(255)
    if how.channels == 1 and colour.shape[2] == 3:
        colour = to_grey(colour)[..., None]
        steps.append(_grey(colour))
    invert = how.invert == "always"
    if how.invert == "auto" and how.channels == 1:
        invert = find(colour[..., 0], None, how.size).dark == how.light_on_dark
    if invert:
        colour = 255 - colour
        steps.append(_inverted(colour))
    square = to_square(colour, how.size)
    image = _bytes(np.broadcast_to(square, (how.size, how.size, how.channels)))
    steps.append(
        PreparationStep("scaled", f"padded to a square, scaled to {how.size}×{how.size}", image)
    )
    return Prepared(image, tuple(steps))


def _cut_out(picture: DecodedImage, how: Preparation) -> Prepared:
    """For data whose makers cut each object out of its surroundings."""
    steps = _first_steps(picture)
    notes = []
    dark = {"auto": None, "never": not how.light_on_dark, "always": how.light_on_dark}[how.invert]
    edge = _edge(how)
    grey = to_grey(picture.over(255))
    found = find(grey, dark, edge)
    if found.box is None and picture.alpha is not None:
        on_black = to_grey(picture.over(0))
        if (again := find(on_black, dark, edge)).box is not None:
            grey, found = on_black, again
            steps[-1] = _over("black", picture.over(0))
            notes.append("too light to be seen on white, so laid over black")
    if picture.colour.shape[2] == 3:
        steps.append(_grey(grey))
    if found.dark == how.light_on_dark:
        steps.append(_inverted(255 - grey))
    if picture.size == (how.size, how.size):
        notes.append(f"already {how.size}×{how.size}: taken as it is")
        image = _as_data(255 - grey if found.dark else grey, how, how.channels)
        steps.append(PreparationStep("as it is", notes[-1], image))
        return Prepared(image, tuple(steps), tuple(notes))
    if found.box is None:
        notes.append("nothing stands out from the background")
    return Prepared(_framed(found, how, steps), tuple(steps), tuple(notes))


def _framed(found: ObjectBounds, how: Preparation, steps: list[PreparationStep]) -> Bytes:
    """The object in the middle of the model's square; each stage is added to `steps`."""
    size = how.size
    left, top, right, bottom = found.box or (0, 0, found.light.shape[1], found.light.shape[0])
    width, height = right - left, bottom - top
    wide, high, x, y = placed(width, height, _edge(how), size)
    whole = found.light[top:bottom, left:right]
    small = np.clip(sharpened(scaled(whole, wide, high)), 0, whole.max())
    # Every picture of the data reaches from black to white; so does this, unless it is blank.
    gain = 255 / (float(small.max()) or 1.0) if found.box else 1.0
    square = np.zeros((size, size), np.float32)
    square[y : y + high, x : x + wide] = small * gain

    cropped = whole * gain
    caption = f"to the object, {width}×{height}" if found.box else "nothing to crop to"
    steps.append(PreparationStep("cropped", caption, _as_data(cropped, how)))
    side = round(max(width, height) / how.fit)
    _, _, across, down = placed(width, height, max(width, height), side)
    squared = np.pad(cropped, ((down, side - height - down), (across, side - width - across)))
    steps.append(PreparationStep("squared", f"padded to {side}×{side}", _as_data(squared, how)))
    image = _as_data(square, how, how.channels)
    steps.append(PreparationStep("scaled", f"to {size}×{size}", image))
    if how.centre == "mass":
        square = centred_by_mass(square, (x, y, x + wide, y + high))
        image = _as_data(square, how, how.channels)
        steps.append(PreparationStep("centred", "its centre of mass in the middle", image))
    return image


def _edge(how: Preparation) -> int:
    """How many pixels of the model's square the object's longer side takes."""
    return max(1, round(how.size * how.fit))


def _first_steps(picture: DecodedImage) -> list[PreparationStep]:
    width, height = picture.size
    caption = f"{width}×{height} {picture.format or 'drawn'} {picture.mode}"
    if picture.orientation != 1:
        caption += f", turned by EXIF orientation {picture.orientation}"
    # What can be seen through is shown on a middling grey.
    steps = [PreparationStep("upright", caption, _bytes(picture.over(128)))]
    if picture.alpha is not None:
        steps.append(_over("white", picture.over(255)))
    return steps


def _over(ground: str, colour: Plane) -> PreparationStep:
    return PreparationStep(f"over {ground}", f"transparency laid over {ground}", _bytes(colour))


def _grey(plane: Plane) -> PreparationStep:
    return PreparationStep("grey", "colours weighed by luma", _bytes(plane))


def _inverted(plane: Plane) -> PreparationStep:
    return PreparationStep("inverted", "to stand out from its ground as the data do", _bytes(plane))


def _as_data(light: Plane, how: Preparation, channels: int = 1) -> Bytes:
    """A light object on black as the data would show it, (height, width, channels)."""
    pixels = _bytes(light if how.light_on_dark else 255 - light)
    return pixels.repeat(channels, axis=2)


def _bytes(plane: Plane) -> Bytes:
    pixels = np.clip(np.rint(plane), 0, 255).astype(np.uint8)
    return pixels.reshape(*pixels.shape[:2], -1)

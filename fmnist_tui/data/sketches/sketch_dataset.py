"""The data set that this program draws itself: ten garments, no network, no licence.

Shape, shade, cloth, place, size, angle, occlusion and noise vary from picture to
picture. Picture number n of a split depends on the seed and on n alone.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from fmnist_tui.config.dataset_catalog import DATASETS, IMAGE_SIDE
from fmnist_tui.data.dataset import Images, Labels
from fmnist_tui.data.load_progress import LoadReporter
from fmnist_tui.data.sketches.garment_shapes import OUTLINES, Shape, ShapeRandom
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset

SOURCE = "drawn by this program"
_FINE = 4  # outlines are drawn this many times larger, then averaged down
_PLAIN = 165  # grey of tone 1.0 before the shade is chosen
_SHAPE_DICE, _FINISH_DICE = 24, 20

Floats = npt.NDArray[np.float32]


def load(request: LoadRequest) -> UnsplitDataset:
    """As many pictures as the catalogue says."""
    info = DATASETS["sketches"]
    tell = LoadReporter(request.name, request.on_step)
    tell.trying(SOURCE, "drawing")
    train, test = (
        LabelledImages.from_arrays(*draw(count, request.sketch_seed, stream))
        for stream, count in enumerate((info.train, info.test))
    )
    tell.ok(f"{info.title} is drawn")
    return UnsplitDataset(info, train, test, SOURCE)


@lru_cache(maxsize=2)
def draw(count: int, seed: int, stream: int) -> tuple[Images, Labels]:
    """`count` pictures (count, 28, 28, 1) with labels, not to be written to; the classes
    take turns.

    `stream` keeps the splits of one seed apart. What was drawn last is kept.
    """
    labels = np.arange(count, dtype=np.int64) % len(OUTLINES)
    rolls = _generator(seed, stream, 0).random((count, _SHAPE_DICE)).tolist()
    shapes = np.empty((count, IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    for row, label in enumerate(labels.tolist()):
        shapes[row] = _outline(label, ShapeRandom(rolls[row]))
    pictures = _finish(shapes, seed, stream)[..., None]
    pictures.flags.writeable = labels.flags.writeable = False
    return pictures, labels


def _generator(seed: int, stream: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream, purpose])))


def _outline(label: int, dice: ShapeRandom) -> npt.NDArray[np.uint8]:
    """One garment at a place, size and angle of its own, in its own tones."""
    turn = math.radians(dice.between(-14, 14))
    size = dice.between(0.7, 0.94) * IMAGE_SIDE * _FINE / 2
    wide, slant = dice.between(0.85, 1.1) * size, dice.between(-0.12, 0.12)
    if dice.chance(0.5):
        wide = -wide
    across, down = math.cos(turn), math.sin(turn)
    reach = _FINE * 3.5
    x0 = IMAGE_SIDE * _FINE / 2 + dice.between(-reach, reach)
    y0 = IMAGE_SIDE * _FINE / 2 + dice.between(-reach, reach)

    def placed(part: Shape) -> list[tuple[float, float]]:
        # Rounded to eighths, so that the last bit of a cosine cannot move a pixel.
        return [
            (
                round((x0 + wide * (x + slant * y) * across - size * y * down) * 8) / 8,
                round((y0 + wide * (x + slant * y) * down + size * y * across) * 8) / 8,
            )
            for x, y in part.points
        ]

    canvas = Image.new("L", (IMAGE_SIDE * _FINE, IMAGE_SIDE * _FINE))
    pen = ImageDraw.Draw(canvas)
    for part in OUTLINES[label](dice):
        grey = min(255, round(_PLAIN * part.tone))
        if part.width:
            pen.line(placed(part), fill=grey, width=max(2, round(part.width * size)), joint="curve")
        else:
            pen.polygon(placed(part), fill=grey)
    return np.asarray(canvas.reduce(_FINE))


def _finish(shapes: npt.NDArray[np.uint8], seed: int, stream: int) -> npt.NDArray[np.uint8]:
    """Shade, light, cloth, something in front, and the grain of a cheap camera."""
    rolls = _generator(seed, stream, 1).random((len(shapes), _FINISH_DICE, 1, 1), np.float32)
    roll = iter(rolls.transpose(1, 0, 2, 3))

    def between(low: float, high: float) -> Floats:
        spread: Floats = np.float32(high - low) * next(roll)
        return spread + np.float32(low)

    y, x = np.mgrid[0:IMAGE_SIDE, 0:IMAGE_SIDE].astype(np.float32)
    middle = np.float32((IMAGE_SIDE - 1) / 2)
    light = (x - middle) * between(-1, 1) + (y - middle) * between(-1, 1)
    picture = shapes * between(0.55, 1.25) * (1 + light * np.float32(0.5 / IMAGE_SIDE))

    # Cloth: stripes at one of a few slopes, from invisible to bold.
    steps = np.floor(between(-2, 3)), np.floor(between(-2, 3))
    thread = np.floor(x * steps[0] + y * steps[1] + between(0, 8)) % np.floor(between(3, 8))
    picture *= 1 - np.maximum(between(-0.25, 0.25), 0) * (thread < 2)

    # Something in front of some of them: a box of any grey.
    left, top = between(-IMAGE_SIDE, IMAGE_SIDE), between(-4, IMAGE_SIDE)
    hidden = (x > left) & (x < left + between(2, 7)) & (y > top) & (y < top + between(2, 7))
    picture = np.where(hidden, between(0, 220), picture)

    grain = _generator(seed, stream, 2).random((len(shapes), 3, IMAGE_SIDE, IMAGE_SIDE), np.float32)
    picture += (grain.sum(axis=1) - np.float32(1.5)) * between(3, 20)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

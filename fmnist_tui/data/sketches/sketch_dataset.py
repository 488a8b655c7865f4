"""The dataset that this program draws itself: ten garments, no network, no licence.

Image number n of a split depends only on the seed and on n.
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
from fmnist_tui.data.sketches.garment_shapes import GARMENTS, Shape, ShapeRandom
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset

SOURCE = "drawn by this program"
_SCALE = 4  # outlines are drawn this many times larger, then averaged down
_BASE_GREY = 165  # of tone 1.0, before the shade is chosen
_SHAPE_NUMBERS, _FINISH_NUMBERS = 24, 20  # random numbers per image

Floats = npt.NDArray[np.float32]


def load(request: LoadRequest) -> UnsplitDataset:
    info = DATASETS["sketches"]
    reporter = LoadReporter(request.name, request.on_step)
    reporter.trying(SOURCE, "drawing")
    train, test = (
        LabelledImages.from_arrays(*draw(count, request.sketch_seed, stream))
        for stream, count in enumerate((info.train, info.test))
    )
    reporter.ok(f"{info.title} is complete")
    return UnsplitDataset(info, train, test, SOURCE)


@lru_cache(maxsize=2)
def draw(count: int, seed: int, stream: int) -> tuple[Images, Labels]:
    """Draw `count` read-only images (count, 28, 28, 1), classes in turn; one `stream` per split."""
    labels = np.arange(count, dtype=np.int64) % len(GARMENTS)
    numbers = _generator(seed, stream, 0).random((count, _SHAPE_NUMBERS)).tolist()
    shapes = np.empty((count, IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    for row, label in enumerate(labels.tolist()):
        shapes[row] = _draw_garment(label, ShapeRandom(numbers[row]))
    images = _finish(shapes, seed, stream)[..., None]
    images.setflags(write=False)
    labels.setflags(write=False)
    return images, labels


def _generator(seed: int, stream: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream, purpose])))


def _draw_garment(label: int, rng: ShapeRandom) -> npt.NDArray[np.uint8]:
    """One garment at a random position, size and angle."""
    angle = math.radians(rng.between(-14, 14))
    size = rng.between(0.7, 0.94) * IMAGE_SIDE * _SCALE / 2
    x_size, slant = rng.between(0.85, 1.1) * size, rng.between(-0.12, 0.12)
    if rng.chance(0.5):
        x_size = -x_size
    cos, sin = math.cos(angle), math.sin(angle)
    max_shift = _SCALE * 3.5
    x0 = IMAGE_SIDE * _SCALE / 2 + rng.between(-max_shift, max_shift)
    y0 = IMAGE_SIDE * _SCALE / 2 + rng.between(-max_shift, max_shift)

    def transform(shape: Shape) -> list[tuple[float, float]]:
        # Rounded to eighths: the last bit of a cosine must not change a pixel.
        return [
            (
                round((x0 + x_size * (x + slant * y) * cos - size * y * sin) * 8) / 8,
                round((y0 + x_size * (x + slant * y) * sin + size * y * cos) * 8) / 8,
            )
            for x, y in shape.points
        ]

    canvas = Image.new("L", (IMAGE_SIDE * _SCALE, IMAGE_SIDE * _SCALE))
    pen = ImageDraw.Draw(canvas)
    for shape in GARMENTS[label](rng):
        grey = min(255, round(_BASE_GREY * shape.tone))
        if shape.width:
            width = max(2, round(shape.width * size))
            pen.line(transform(shape), fill=grey, width=width, joint="curve")
        else:
            pen.polygon(transform(shape), fill=grey)
    return np.asarray(canvas.reduce(_SCALE))


def _finish(shapes: npt.NDArray[np.uint8], seed: int, stream: int) -> npt.NDArray[np.uint8]:
    """Add shade, uneven light, texture, occlusion and noise."""
    size = (len(shapes), _FINISH_NUMBERS, 1, 1)
    numbers = iter(_generator(seed, stream, 1).random(size, np.float32).transpose(1, 0, 2, 3))

    def between(low: float, high: float) -> Floats:
        spread: Floats = np.float32(high - low) * next(numbers)
        return spread + np.float32(low)

    y, x = np.mgrid[0:IMAGE_SIDE, 0:IMAGE_SIDE].astype(np.float32)
    middle = np.float32((IMAGE_SIDE - 1) / 2)
    light = (x - middle) * between(-1, 1) + (y - middle) * between(-1, 1)
    images = shapes * between(0.55, 1.25) * (1 + light * np.float32(0.5 / IMAGE_SIDE))

    # Texture: stripes at one of a few slopes, from invisible to strong.
    steps = np.floor(between(-2, 3)), np.floor(between(-2, 3))
    thread = np.floor(x * steps[0] + y * steps[1] + between(0, 8)) % np.floor(between(3, 8))
    images *= 1 - np.maximum(between(-0.25, 0.25), 0) * (thread < 2)

    # Occlusion: a box of any grey in front of some garments.
    left, top = between(-IMAGE_SIDE, IMAGE_SIDE), between(-4, IMAGE_SIDE)
    hidden = (x > left) & (x < left + between(2, 7)) & (y > top) & (y < top + between(2, 7))
    images = np.where(hidden, between(0, 220), images)

    noise = _generator(seed, stream, 2).random((len(shapes), 3, IMAGE_SIDE, IMAGE_SIDE), np.float32)
    images += (noise.sum(axis=1) - np.float32(1.5)) * between(3, 20)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)

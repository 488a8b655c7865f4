"""The misclassified images of a page, on one contact sheet."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.analysis.predictions import Misclassified, Predictions
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

MOST_CONFIDENT, MAX_PAIRS, PER_PAIR = 20, 5, 10
# Larger images are scaled down, to keep the page small.
_MAX_SIDE = 64
_COLUMNS = 10

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors shown together, out of `count`. Those of one pair of classes have both indices."""

    true: int | None
    predicted: int | None
    misses: tuple[Misclassified, ...]
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class ErrorImages:
    """`sheet` is a PNG with all images, each `side` wide, in rows of `columns`; `cells` maps an
    image's index to its number on the sheet."""

    groups: tuple[ErrorGroup, ...]
    classes: tuple[str, ...]
    sheet: bytes
    side: int
    columns: int
    cells: dict[int, int]

    @property
    def uri(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.sheet).decode("ascii")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        return self.columns * self.side, math.ceil(len(self.cells) / self.columns) * self.side

    def corner(self, miss: Misclassified) -> tuple[int, int]:
        """The left and upper edge of an error's image on the sheet."""
        row, column = divmod(self.cells[miss.index], self.columns)
        return column * self.side, row * self.side


def load_error_images(
    config: RunConfig, predictions: Predictions, data_dir: Path
) -> ErrorImages | None:
    """The errors to show with their images; None if there are no errors.

    Nothing is downloaded. Raises UserError if the images are missing, or are not the ones that
    were predicted.
    """
    groups = select_errors(predictions)
    if not groups:
        return None
    from fmnist_tui.data.load import load_dataset_for

    split = load_dataset_for(config, data_dir, fetch=False).split(predictions.split)
    labels = {miss.index: miss.true for group in groups for miss in group.misses}
    row_of = {int(index): row for row, index in enumerate(split.indices)}
    rows = [row_of.get(index, -1) for index in labels]
    is_same = all(
        row >= 0 and int(split.labels[row]) == label
        for row, label in zip(rows, labels.values(), strict=True)
    )
    if not is_same:
        raise UserError(
            f"{safe_text(config.dataset)} no longer contains the images that were predicted"
        )
    images = split.images[rows]
    side = min(_MAX_SIDE, max(images.shape[1:3]))
    return ErrorImages(
        groups,
        predictions.classes,
        contact_sheet(images, side, _COLUMNS),
        side,
        _COLUMNS,
        {index: number for number, index in enumerate(labels)},
    )


def select_errors(predictions: Predictions) -> tuple[ErrorGroup, ...]:
    """The most confident errors, then those of the most confused pairs of classes."""
    misses = predictions.find_misses()
    if not misses:
        return ()
    by_pair: dict[tuple[int, int], list[Misclassified]] = {}
    for miss in misses:
        by_pair.setdefault((miss.true, miss.predicted), []).append(miss)
    pairs = sorted(by_pair.items(), key=lambda item: (-len(item[1]), item[0]))[:MAX_PAIRS]
    return (
        ErrorGroup(None, None, tuple(misses[:MOST_CONFIDENT]), len(misses)),
        *(ErrorGroup(*pair, tuple(errors[:PER_PAIR]), len(errors)) for pair, errors in pairs),
    )


def contact_sheet(images: Images, side: int, columns: int) -> bytes:
    """The images in rows, scaled to squares of this side, as a PNG."""
    from PIL import Image

    count, _, _, channels = images.shape
    canvas = np.zeros((math.ceil(count / columns) * side, columns * side, channels), np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = row * side, column * side
        canvas[top : top + side, left : left + side] = _scaled(image, side)
    buffer = io.BytesIO()
    Image.fromarray(canvas[..., 0] if channels == 1 else canvas).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _scaled(image: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    from PIL import Image

    if image.shape[:2] == (side, side):
        return image
    flat = image[..., 0] if image.shape[2] == 1 else image
    small = np.asarray(Image.fromarray(flat).resize((side, side), Image.Resampling.BOX))
    return small.reshape(side, side, image.shape[2])

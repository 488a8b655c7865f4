"""The misclassified images of a page, on one contact sheet."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.analysis.predictions import Misclassified, Predictions
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Images
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

MOST_CONFIDENT, MAX_PAIRS, PER_PAIR = 20, 5, 10
# Larger images are scaled down, to keep the page small.
_MAX_SIDE = 64
_COLUMNS = 10


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
    misses = {miss.index: miss.row for group in groups for miss in group.misses}
    row_of = {int(index): row for row, index in enumerate(split.indices)}
    rows = [row_of[index] for index in misses if index in row_of]
    ids = None if split.ids is None else split.ids[rows]
    if len(rows) < len(misses) or not all(
        predictions.are_of(split.labels[rows], ids, list(misses.values()))
    ):
        raise UserError(
            f"{safe_text(config.dataset)} no longer contains the images that were predicted"
        )
    images = split.images[rows]
    side = min(_MAX_SIDE, max(images.shape[1:3]))
    sheet = contact_sheet(images, side, _COLUMNS)
    cells = {index: number for number, index in enumerate(misses)}
    return ErrorImages(groups, predictions.classes, sheet, side, _COLUMNS, cells)


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

    flat = images[..., 0] if images.shape[3] == 1 else images
    size = (columns * side, math.ceil(len(images) / columns) * side)
    sheet = Image.new("L" if flat.ndim == 3 else "RGB", size)
    for number, image in enumerate(flat):
        row, column = divmod(number, columns)
        tile = Image.fromarray(image).resize((side, side), Image.Resampling.BOX)
        sheet.paste(tile, (column * side, row * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

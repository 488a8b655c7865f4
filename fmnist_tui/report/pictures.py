"""The pictures that were got wrong: which ones a page shows, on one sheet."""

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

MOST_CONFIDENT, PAIRS, OF_A_PAIR = 20, 5, 10
# Larger pictures are scaled down: the page is to stay small.
_SIDE = 64
_ACROSS = 10

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors shown together, and how many there are of their kind."""

    true: int | None
    predicted: int | None
    misses: tuple[Misclassified, ...]
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class ErrorPictures:
    """`groups` of errors: the most confident of all, then those of the most confused pairs.
    `sheet` is a PNG with all their pictures, each `side` wide; `places` says where."""

    groups: tuple[ErrorGroup, ...]
    sheet: bytes
    side: int
    across: int
    places: dict[int, int]

    @property
    def uri(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.sheet).decode("ascii")

    @property
    def down(self) -> int:
        return math.ceil(len(self.places) / self.across)

    def corner(self, miss: Misclassified) -> tuple[int, int]:
        """The left and upper edge of an error's picture on the sheet."""
        row, column = divmod(self.places[miss.index], self.across)
        return column * self.side, row * self.side


def gather(config: RunConfig, predictions: Predictions, data_dir: Path) -> ErrorPictures | None:
    """The errors to show with their pictures; None where nothing was got wrong.

    Nothing is fetched: a UserError says that the pictures are not here, or are not those
    which were predicted.
    """
    groups = chosen(predictions)
    if not groups:
        return None
    from fmnist_tui.data.load import load_wanted

    split = load_wanted(config, data_dir, fetch=False).split(predictions.split)
    wanted = {miss.index: miss.true for group in groups for miss in group.misses}
    place_of = {int(index): place for place, index in enumerate(split.indices)}
    places = [place_of.get(index, -1) for index in wanted]
    same = all(
        place >= 0 and int(split.labels[place]) == true
        for place, true in zip(places, wanted.values(), strict=True)
    )
    if not same:
        raise UserError(
            f"{safe_text(config.dataset)} does not hold the pictures any more that were predicted"
        )
    images = split.images[places]
    side = min(_SIDE, max(images.shape[1:3]))
    return ErrorPictures(
        groups,
        sheet(images, side, _ACROSS),
        side,
        _ACROSS,
        {index: number for number, index in enumerate(wanted)},
    )


def chosen(predictions: Predictions) -> tuple[ErrorGroup, ...]:
    """The errors a page shows."""
    misses = predictions.misses()
    if not misses:
        return ()
    by_pair: dict[tuple[int, int], list[Misclassified]] = {}
    for miss in misses:
        by_pair.setdefault((miss.true, miss.predicted), []).append(miss)
    pairs = sorted(by_pair.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:PAIRS]
    return (
        ErrorGroup(None, None, tuple(misses[:MOST_CONFIDENT]), len(misses)),
        *(ErrorGroup(*pair, tuple(found[:OF_A_PAIR]), len(found)) for pair, found in pairs),
    )


def sheet(images: Images, side: int, across: int) -> bytes:
    """The pictures side by side, row after row, as a PNG."""
    from PIL import Image

    count, _, _, channels = images.shape
    down = math.ceil(count / across)
    whole = np.zeros((down * side, across * side, channels), np.uint8)
    for number, picture in enumerate(images):
        row, column = divmod(number, across)
        place = whole[row * side : (row + 1) * side, column * side : (column + 1) * side]
        place[:] = _scaled(picture, side)
    buffer = io.BytesIO()
    flat = whole[..., 0] if channels == 1 else whole
    Image.fromarray(flat).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _scaled(picture: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """The picture as a square of this side."""
    from PIL import Image

    if picture.shape[:2] == (side, side):
        return picture
    flat = picture[..., 0] if picture.shape[2] == 1 else picture
    small = np.asarray(Image.fromarray(flat).resize((side, side), Image.Resampling.BOX))
    return small.reshape(side, side, picture.shape[2])

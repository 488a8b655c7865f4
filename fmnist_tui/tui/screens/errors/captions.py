"""What is written by the images on Errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from textual.content import Content

from fmnist_tui.analysis.predictions import Misclassified, Predictions
from fmnist_tui.render.contact_sheet import FULL, SMALL
from fmnist_tui.tui.screens.errors.filters import EVERY, Classes, loss, pair_name
from fmnist_tui.tui.state.evaluation_cache import LoadedEvaluation
from fmnist_tui.tui.widgets.gallery import Tile
from fmnist_tui.util.text import safe_text

# Letters of each class's name by the size of the pictures.
_LETTERS = {FULL: 11, SMALL: 3}
_TINY_LETTERS = 2


def tile(
    miss: Misclassified, classes: Sequence[str], columns: int, image: npt.NDArray[Any] | None
) -> Tile:
    """The image with `true → predicted 97 %`, cut as its size demands."""
    letters = _LETTERS.get(columns, _TINY_LETTERS)
    true, said = (safe_text(classes[number])[:letters] for number in (miss.true, miss.predicted))
    sure = ">99 %" if miss.probability > 0.995 else f"{100 * miss.probability:.0f} %"
    told = f"{true} ✓" if miss.true == miss.predicted else f"{true} → {said}"
    if columns < FULL:
        told, sure = told.replace(" → ", "→"), sure.replace(" ", "")
    caption = f"{told} {sure}" if columns >= SMALL else told
    missing = image is None
    note = f"#{miss.index}" + (" no picture" if missing else "")
    picture = np.zeros((28, 28), np.uint8) if image is None else image
    return Tile(picture, Content(caption), Content.styled(note, "$foreground-muted"))


def described(
    miss: Misclassified, predictions: Predictions, number: int, count: int
) -> list[Content]:
    """The facts of one image, a line each."""
    true, said = (safe_text(predictions.classes[at], 16) for at in (miss.true, miss.predicted))
    head = Content.styled(f"✗ {true} → {said}", "bold $error")
    if miss.true == miss.predicted:
        head = Content.styled(f"✓ {true}", "bold $success")
    return [
        head,
        Content(f"#{miss.index} of {predictions.split}   {number + 1:,} of {count:,}"),
        Content(f"{100 * miss.probability:.1f} % sure   loss {loss(miss):.2f}"),
        Content(""),
    ]


def facts(found: LoadedEvaluation, pair: Classes, count: int, order: str) -> list[Content]:
    """`1,144 of 10,000 wrong  Shirt → Coat: 71  most confident first`."""
    evaluation = found.evaluation
    told = [Content.styled(f"{evaluation.wrong:,} of {evaluation.count:,} wrong", "bold $accent")]
    if pair != EVERY:
        name = pair_name(pair, found.predictions.classes)
        told.append(Content.styled(f"{name}: {count:,} (escape: all)", "bold"))
    return [*told, Content(order)]


def strays(count: int) -> Content:
    """That the pictures are not those that were predicted."""
    return Content.styled(
        f"▲ {count:,} images are not in the data any more, or of another class: e predicts anew",
        "$warning",
    )


def without_pictures(trouble: str) -> Content:
    """Why there are predictions to see but no pictures."""
    if not trouble:
        return Content("Reading the pictures …")
    return Content.assemble(
        (f"✗ {trouble}", "$error"),
        "\n\n",
        ("p", "bold $accent"),
        "  another split     ",
        ("w", "bold $accent"),
        "  another run",
    )

"""The text beside the images on Errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from textual.content import Content

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.analysis.predictions import Misclassified, Predictions
from fmnist_tui.render.contact_sheet import FULL, SMALL
from fmnist_tui.tui.screens.errors.filters import ALL_ERRORS, ORDERS, pair_name
from fmnist_tui.tui.screens.errors.loader import LoadedErrors
from fmnist_tui.tui.widgets.gallery import Tile
from fmnist_tui.util.formatting import format_count, format_percent
from fmnist_tui.util.text import safe_text

# Letters of each class name by the width of the image.
_LETTERS = {FULL: 11, SMALL: 3}
_TINY_LETTERS = 2


def build_tile(
    miss: Misclassified, classes: Sequence[str], columns: int, image: npt.NDArray[Any] | None
) -> Tile:
    """The image with `true → predicted 97 %`, shortened to its size."""
    letters = _LETTERS.get(columns, _TINY_LETTERS)
    true, predicted = (
        safe_text(classes[number])[:letters] for number in (miss.true, miss.predicted)
    )
    confidence = ">99 %" if miss.probability > 0.995 else format_percent(miss.probability, 0)
    caption = f"{true} ✓" if miss.true == miss.predicted else f"{true} → {predicted}"
    if columns < FULL:
        caption, confidence = caption.replace(" → ", "→"), confidence.replace(" ", "")
    if columns >= SMALL:
        caption = f"{caption} {confidence}"
    note = f"#{miss.index}" + (" no image" if image is None else "")
    pixels = np.zeros((28, 28), np.uint8) if image is None else image
    return Tile(pixels, Content(caption), Content.styled(note, "$foreground-muted"))


def image_facts(
    miss: Misclassified, predictions: Predictions, number: int, count: int
) -> list[Content]:
    """The facts about one image, a line each."""
    true, predicted = (
        safe_text(predictions.classes[number], 16) for number in (miss.true, miss.predicted)
    )
    result = Content.styled(f"✗ {true} → {predicted}", "bold $error")
    if miss.true == miss.predicted:
        result = Content.styled(f"✓ {true}", "bold $success")
    loss = -math.log(max(miss.true_probability, 1e-12))
    return [
        result,
        Content(f"#{miss.index} of {predictions.split}   {number + 1:,} of {count:,}"),
        Content(f"confidence {format_percent(miss.probability, 1)}   loss {loss:.2f}"),
        Content(""),
    ]


def class_probabilities(predictions: Predictions, miss: Misclassified) -> list[tuple[str, float]]:
    """All classes with their probabilities for one image, highest first."""
    shares = softmax(predictions.logits[miss.row : miss.row + 1])[0]
    order = np.argsort(-shares, kind="stable")
    return [(predictions.classes[number], float(shares[number])) for number in order]


def summary_facts(loaded: LoadedErrors) -> list[Content]:
    """`1,144 of 10,000 wrong  Shirt → Coat: 71  most confident first`."""
    evaluation = loaded.evaluation.evaluation
    facts = [Content.styled(f"{evaluation.wrong:,} of {evaluation.count:,} wrong", "bold $accent")]
    if loaded.pair != ALL_ERRORS:
        name = pair_name(loaded.pair, loaded.evaluation.predictions.classes)
        facts.append(Content.styled(f"{name}: {len(loaded.misses):,} (escape: all)", "bold"))
    return [*facts, Content(ORDERS[loaded.order])]


def changed_images(count: int) -> Content:
    """A warning that images differ from those that were predicted."""
    text = f"▲ {format_count(count, 'image')} changed since this evaluation: e evaluates again"
    return Content.styled(text, "$warning")


def loading_notice(error: str) -> Content:
    """What is shown while the images load, or why they are not available."""
    if not error:
        return Content("Loading images …")
    return Content.assemble(
        (f"✗ {error}", "$error"),
        "\n\n",
        ("p", "bold $accent"),
        "  another split     ",
        ("w", "bold $accent"),
        "  another run",
    )

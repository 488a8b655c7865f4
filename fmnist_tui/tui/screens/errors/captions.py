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
from fmnist_tui.render.contact_sheet import SMALL
from fmnist_tui.tui.key_names import key_name, name_keys
from fmnist_tui.tui.screens.errors.filters import ALL_ERRORS, ORDERS, Pair, pair_name
from fmnist_tui.tui.screens.errors.loader import LoadedErrors
from fmnist_tui.tui.widgets.gallery import Tile
from fmnist_tui.util.class_names import short_name, short_names, short_pair
from fmnist_tui.util.formatting import format_count, format_percent
from fmnist_tui.util.text import cell_width, safe_text

# The names of the selected image.
_FACT_WIDTH = 34
_MUTED = "$foreground-muted"


def build_tile(
    miss: Misclassified,
    classes: Sequence[str],
    pair: Pair,
    columns: int,
    image: npt.NDArray[Any] | None,
) -> Tile:
    """The image with its two classes, confidence and index below it. Names that all images of
    the pair have are left out."""
    confidence = ">99 %" if miss.probability > 0.995 else format_percent(miss.probability, 0)
    index = f"#{miss.index}" if image is not None else "no image"
    labels = short_names(classes, columns - (2 if columns < SMALL else len("→ >99%")))
    true, predicted = labels[miss.true], labels[miss.predicted]
    note = Content.styled(f"{confidence}  {index}", _MUTED)
    if None not in pair:
        caption, note = Content(confidence), Content.styled(index, _MUTED)
    elif pair[0] is not None:
        caption = Content(f"→ {predicted}")
    elif pair[1] is not None:
        caption = Content(f"{true} →")
    elif columns == SMALL:
        # A line has no room for both names.
        fits = cell_width(f"{true} {index}") <= columns
        caption = Content.assemble(true, (f" {index}" if fits else "", _MUTED))
        note = Content.assemble(f"→{predicted}", (f" {confidence.replace(' ', '')}", _MUTED))
    else:
        arrow = "→" if columns < SMALL else " → "
        caption = Content(short_pair(classes, miss.true, miss.predicted, columns, arrow))
    return Tile(np.zeros((28, 28), np.uint8) if image is None else image, caption, note)


def image_facts(
    miss: Misclassified, predictions: Predictions, number: int, count: int
) -> list[Content]:
    """The facts about one image, a line each."""
    classes = predictions.classes
    name = short_pair(classes, miss.true, miss.predicted, _FACT_WIDTH)
    result = Content.styled(f"✗ {name}", "bold $error")
    if miss.true == miss.predicted:
        name = short_name(classes, miss.true, _FACT_WIDTH)
        result = Content.styled(f"✓ {name}", "bold $success")
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
    """`1,144 of 10,000 wrong`, and whether images differ from those that were predicted.

    It does not depend on which images are shown, so that the images below it never move."""
    evaluation, changed = loaded.evaluation.evaluation, loaded.changed
    facts = [Content.styled(f"{evaluation.wrong:,} of {evaluation.count:,} wrong", "bold $accent")]
    if changed:
        text = f"▲ {format_count(changed, 'image')} changed since this evaluation: "
        text += name_keys("{errors.evaluate} evaluates again")
        facts.append(Content.styled(text, "$warning"))
    return facts


def images_title(loaded: LoadedErrors, filter_text: str, count: int) -> str:
    """`Shirt → Coat: 71, most confident first`, and how many of them a filter matches."""
    title = f"All errors, {ORDERS[loaded.order]}"
    if loaded.pair != ALL_ERRORS:
        name = pair_name(loaded.pair, loaded.evaluation.predictions.classes)
        title = f"{name}: {len(loaded.misses):,}, {ORDERS[loaded.order]}"
    shown = safe_text(filter_text.strip(), 30)
    return f"{title}, “{shown}” matches {count:,}" if shown else title


def loading_notice(error: str) -> Content:
    """What is shown while the images load, or why they are not available."""
    if not error:
        return Content("Loading images …")
    return Content.assemble(
        (f"✗ {error}", "$error"),
        "\n\n",
        (key_name("errors.split"), "bold $accent"),
        "  another split     ",
        (key_name("errors.run"), "bold $accent"),
        "  another run",
    )

"""What can be copied from Errors."""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_tui.analysis.predictions import Misclassified
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.copying import CopyTable, ToCopy, repeat_command
from fmnist_tui.tui.screens.errors.filters import ImageFilter, Pair
from fmnist_tui.tui.screens.errors.loader import LoadedErrors
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util.formatting import format_percent


def errors_to_copy(
    app_state: AppState,
    folder: RunFolder,
    loaded: LoadedErrors,
    images: ImageFilter,
    misses: Sequence[Misclassified],
    cursor: int,
) -> ToCopy:
    """The image under the cursor, the table of all that are shown, and `errors` for them."""
    predictions = loaded.evaluation.predictions
    rows = [
        (
            f"#{miss.index}",
            predictions.classes[miss.true],
            predictions.classes[miss.predicted],
            format_percent(miss.probability, 1),
            format_percent(miss.true_probability, 1),
        )
        for miss in misses
    ]
    value = ""
    if 0 <= cursor < len(rows):
        index, true, predicted, confidence, _ = rows[cursor]
        value = f"{index} of {predictions.split}: {true} → {predicted}, {confidence}"
    command, pair = [], _find_pair(loaded.pair, images)
    if pair is not None:
        words = ["errors", folder.id, f"--split={predictions.split}"]
        for flag, number in zip(("--true", "--pred"), pair, strict=True):
            words += [flag, predictions.classes[number]] if number is not None else []
        command = repeat_command(app_state, *words, f"--order={loaded.order}")
    headings = ("image", "true", "predicted", "confidence", "true class")
    return ToCopy(value, CopyTable(headings, rows), folder.path, command)


def _find_pair(pair: Pair, images: ImageFilter) -> Pair | None:
    """The classes of the images shown, None for any; None where `errors` has no flag for them."""
    if images == ImageFilter():
        return pair
    sides = (images.true, images.predicted)
    is_pair = images == ImageFilter(true=images.true, predicted=images.predicted)
    if not is_pair or pair != (None, None) or any(side and len(side) > 1 for side in sides):
        return None
    true, predicted = (next(iter(side)) if side else None for side in sides)
    return true, predicted

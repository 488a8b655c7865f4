"""Where the cells of a confusion matrix lie on a screen, and what they mean in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.tui.widgets.confusion_heatmap import Counts
from fmnist_tui.util.text import safe_text

_SHORTEST_NAME, _LONGEST_NAME = 5, 14
_WIDEST = 12
_TALLEST = 3
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ConfusionLayout:
    """How the matrix lies in the widget: cells wide and high, and how many are in view."""

    head: int
    cell: int
    tall: int
    columns: int
    rows: int


def layout(width: int, height: int, count: int, longest: int, figures: int) -> ConfusionLayout:
    """`count` classes with names of at most `longest` cells and numbers of `figures`."""
    least = figures + 2
    # Names are cut where that brings all columns into view, or where there is hardly any room.
    room = width - least * count - 2
    room = room if room >= _SHORTEST_NAME else width // 3
    # One cell for the mark of the cursor's row, one between name and numbers.
    head = min(longest, _LONGEST_NAME, max(_SHORTEST_NAME, room)) + 2
    room = max(least, width - head)
    cell = max(least, min(_WIDEST, room // max(1, count)))
    tall = max(1, min(_TALLEST, (height - 1) // max(1, count)))
    rows = max(1, (height - 1) // tall)
    return ConfusionLayout(head, cell, tall, max(1, min(count, room // cell)), min(count, rows))


def height_for(count: int, most: int) -> int:
    """How many lines `count` classes fill best where there are at most `most`."""
    tall = max(1, min(_TALLEST, (most - 1) // max(1, count)))
    return min(most, 1 + tall * count)


def in_words(confusion: Counts, classes: Sequence[str], cell: Cell, by_column: bool = False) -> str:
    """What a cell of the matrix means."""
    true, said = cell
    count, name = confusion[true][said], safe_text(classes[true], 24)
    what = f"true {name} → predicted {safe_text(classes[said], 24)}"
    if true == said:
        what = f"{name}, right"
    if by_column:
        total = sum(row[said] for row in confusion)
        return f"{what}: {count:,} of {total:,} so predicted ({_percent(count, total)})"
    total = sum(confusion[true])
    return f"{what}: {count:,} of {total:,} ({_percent(count, total)})"


def worst(confusion: Counts) -> Cell:
    """The largest number off the diagonal."""
    places = [
        (count, -true, -said)
        for true, row in enumerate(confusion)
        for said, count in enumerate(row)
        if true != said
    ]
    count, true, said = max(places, default=(0, 0, 0))
    return (-true, -said) if count else (0, 0)


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "none"

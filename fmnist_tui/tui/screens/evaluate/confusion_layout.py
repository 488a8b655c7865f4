"""The layout of the confusion table, and its cells described in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.tui.widgets.confusion_heatmap import Counts
from fmnist_tui.util.class_names import names_width, short_names
from fmnist_tui.util.formatting import format_percent

_MIN_NAME, _MAX_NAME = 5, 14
# The cells of a column's name, if it is that long.
_MIN_HEADING = 4
_MAX_CELL_WIDTH = 12
_MAX_ROW_HEIGHT = 3
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ConfusionLayout:
    """The sizes of the parts of the table, and how many columns and rows are visible.

    With two lines of headings each name has the space of two columns, in turns."""

    head_width: int
    headings: int
    cell_width: int
    row_height: int
    columns: int
    rows: int

    @classmethod
    def fit(cls, width: int, height: int, classes: Sequence[str], digits: int) -> ConfusionLayout:
        """The layout for these classes, with numbers of at most `digits`."""
        count = len(classes)
        min_cell = max(digits + 2, names_width(classes, _MIN_HEADING) + 1)
        # Names are shortened where that shows all columns, or where there is hardly any room.
        room = width - min_cell * count - 2
        room = room if room >= _MIN_NAME else width // 3
        # One cell for the mark of the cursor's row, one between name and numbers.
        head = names_width(classes, min(_MAX_NAME, max(_MIN_NAME, room))) + 2
        room = max(min_cell, width - head)
        cell = max(min_cell, min(_MAX_CELL_WIDTH, room // max(1, count)))
        helps = _are_cut(classes, cell - 1) and not _are_cut(classes, 2 * cell - 1)
        headings = 2 if helps and cell <= head and height >= count + 2 else 1
        row_height = _row_height(count, height - headings)
        rows = max(1, (height - headings) // row_height)
        columns = max(1, min(count, room // cell))
        return cls(head, headings, cell, row_height, columns, min(count, rows))


def _are_cut(classes: Sequence[str], width: int) -> bool:
    return any(name.endswith("…") for name in short_names(classes, width))


def best_height(count: int, limit: int) -> int:
    """The lines that `count` classes use best, of at most `limit`."""
    return min(limit, 2 + _row_height(count, limit - 2) * count)


def _row_height(count: int, height: int) -> int:
    return max(1, min(_MAX_ROW_HEIGHT, height // max(1, count)))


def describe_cell(
    confusion: Counts, classes: Sequence[str], cell: Cell, by_column: bool = False
) -> str:
    """`true Shirt → predicted Coat: 71 of 1,000 (7.1 %)`."""
    true, predicted = cell
    names, count = short_names(classes, 24), confusion[true][predicted]
    label = f"true {names[true]} → predicted {names[predicted]}"
    if true == predicted:
        label = f"{names[true]}, correct"
    total = sum(row[predicted] for row in confusion) if by_column else sum(confusion[true])
    share = format_percent(count / total, 1) if total else "none"
    return f"{label}: {count:,} of {total:,}{' predictions' if by_column else ''} ({share})"


def most_confused_cell(confusion: Counts) -> Cell:
    """The cell with the largest count off the diagonal."""
    cells = [
        (count, -true, -predicted)
        for true, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        if true != predicted
    ]
    count, true, predicted = max(cells, default=(0, 0, 0))
    return (-true, -predicted) if count else (0, 0)

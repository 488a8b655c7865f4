"""Table rows as text: aligned columns, of which the least important are dropped first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fmnist_tui.util.text import safe_text

GAP = 2
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `width` cells. If space is short, columns with the highest `rank` are dropped;
    the one of rank 0 stays and takes the remaining width."""

    key: str
    title: str
    width: int
    rank: int
    right: bool = False


def fit_columns(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit into `width` cells, the flexible one as wide as that allows."""
    fitting = list(columns)
    while len(fitting) > 1 and total_width(fitting) > width:
        fitting.remove(max(fitting, key=lambda column: column.rank))
    spare = max(0, width - total_width(fitting))
    return [
        replace(column, width=column.width + spare) if column.rank == 0 else column
        for column in fitting
    ]


def format_head(columns: Sequence[Column]) -> Text:
    """The header row."""
    return format_row(columns, {column.key: Text(column.title) for column in columns})


def format_row(columns: Sequence[Column], cells: Mapping[str, Text]) -> Text:
    """A row of cells (text that is safe to show), each fitted into its column."""
    row = Text(no_wrap=True, end="")
    for index, column in enumerate(columns):
        cell = cells.get(column.key, Text())
        style = cell.style
        text = fit_text(cell.plain, column.width)
        if column.right:
            text = text.rstrip().rjust(column.width)
        row.append(" " * (GAP if index else 0))
        row.append(text, style)
    return row


class RowCache(Generic[Item]):
    """Rows of a table, formatted again only for a changed item or in another layout."""

    def __init__(self) -> None:
        self._layout: object = None
        self._rows: dict[str, tuple[Item, Text]] = {}

    def build(
        self, items: Mapping[str, Item], layout: object, format_item: Callable[[Item], Text]
    ) -> list[tuple[str, Text]]:
        """A row for each item, by its key; `layout` is everything else that rows depend on."""
        if layout != self._layout:
            self._layout, self._rows = layout, {}
        for key, item in items.items():
            if key not in self._rows or self._rows[key][0] != item:
                self._rows[key] = item, format_item(item)
        return [(key, self._rows[key][1]) for key in items]


def fit_text(text: str, width: int) -> str:
    """The text in exactly `width` cells, shortened in the middle if it is too long."""
    limit = len(text)
    while cell_len(text) > width and limit > 0:
        limit -= 1
        text = safe_text(text, limit)
    return set_cell_size(text, width)


def total_width(columns: Sequence[Column]) -> int:
    """The width of a row of these columns."""
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)

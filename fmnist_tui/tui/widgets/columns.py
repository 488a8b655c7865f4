"""Table rows as text: aligned columns, of which the least important are dropped first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
    the one of rank 0 stays. What remains widens columns up to `most` cells, the lowest rank
    first; a column of rank 0 without `most` takes all of it."""

    key: str
    title: str
    width: int
    rank: int
    right: bool = False
    most: int = 0


def fit_columns(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit into `width` cells, those that can be wider as wide as that allows."""
    fitting = list(columns)
    while len(fitting) > 1 and total_width(fitting) > width:
        fitting.remove(max(fitting, key=lambda column: column.rank))
    spare = max(0, width - total_width(fitting))
    for column in sorted(fitting, key=lambda column: column.rank):
        wider = max(0, column.most - column.width) if column.rank or column.most else spare
        wider = min(spare, wider)
        fitting[fitting.index(column)] = replace(column, width=column.width + wider)
        spare -= wider
    return fitting


def size_columns(
    columns: Sequence[Column], widths: Mapping[str, int], always: Collection[str] = ()
) -> list[Column]:
    """The columns with room for their widest cell (`widths`, by key), within their own limits;
    without those that are empty in all rows. Those in `always` stay, as wide as they are."""
    sized = []
    for column in columns:
        widest = widths.get(column.key, 0)
        if widest or column.key in always:
            widest = max(widest, cell_len(column.title))
            width = column.width if column.key in always else min(column.width, widest)
            most = min(column.most, widest)
            sized.append(replace(column, width=width, most=most))
    return sized


def format_head(columns: Sequence[Column], underlined: str = "") -> Text:
    """The header row; the title of one column, by its key, may be underlined."""
    head = format_row(columns, {column.key: Text(column.title) for column in columns})
    start = 0
    for column in columns:
        if column.key == underlined:
            at = start + (column.width - len(column.title)) * column.right
            head.stylize("underline", at, at + len(column.title))
        start += column.width + GAP
    return head


def column_at(columns: Sequence[Column], x: int) -> Column | None:
    """The column at this cell of a row; the gap after a column belongs to it."""
    for column in columns:
        x -= column.width + GAP
        if x < 0:
            return column
    return None


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

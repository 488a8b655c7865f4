"""Table rows as text: aligned columns, of which the least important are dropped first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fmnist_tui.util.text import safe_text

GAP = 2


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

"""Lines of a table: columns that line up, of which those go first that matter least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fmnist_tui.util.text import safe_text

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `width` cells. Where there is no room the one with the highest `rank`
    goes first; the one of rank 0 stays and takes what room is left."""

    key: str
    title: str
    width: int
    rank: int
    right: bool = False


def laid_out(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit into `width` cells, the flexible one as wide as that allows."""
    kept = list(columns)
    while len(kept) > 1 and line_width(kept) > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    room = max(0, width - line_width(kept))
    return [
        replace(column, width=column.width + room) if column.rank == 0 else column
        for column in kept
    ]


def head(columns: Sequence[Column]) -> Text:
    """The columns' titles."""
    return line(columns, {column.key: Text(column.title) for column in columns})


def line(columns: Sequence[Column], cells: Mapping[str, Text]) -> Text:
    """A line of cells (text that is safe to show), each fitted into its column."""
    found = Text(no_wrap=True, end="")
    for place, column in enumerate(columns):
        cell = cells.get(column.key, Text())
        style = cell.style
        text = fitted(cell.plain, column.width)
        if column.right:
            text = text.rstrip().rjust(column.width)
        found.append(" " * (GAP if place else 0))
        found.append(text, style)
    return found


def fitted(text: str, width: int) -> str:
    """The text on exactly so many cells; what is cut is cut in the middle."""
    limit = len(text)
    while cell_len(text) > width and limit > 0:
        limit -= 1
        text = safe_text(text, limit)
    return set_cell_size(text, width)


def line_width(columns: Sequence[Column]) -> int:
    """How many cells a line of these columns takes."""
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)

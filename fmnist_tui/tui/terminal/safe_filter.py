"""Whatever a widget draws, the terminal gets text that controls nothing and has the right width.

Screens make names safe themselves, with `safe_text`, so that one sees what is in them. What is
typed or pasted into a field stays as it is, and is made safe here.
"""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len, set_cell_size, split_graphemes
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fmnist_tui.util.text import safe_text


class SafeFilter(LineFilter):
    """Leaves out what is not safe to show, in the same number of cells."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.control or (segment.text.isascii() and segment.text.isprintable())
            else Segment(to_safe_cells(segment.text), segment.style)
            for segment in segments
        ]


@lru_cache(maxsize=4096)
def to_safe_cells(text: str) -> str:
    """The text without what is not safe to show, in the same number of cells."""
    if safe_text(text) == text:
        return text
    spans, _ = split_graphemes(text)
    shown = "".join(_to_cells(text[start:end], cells) for start, end, cells in spans)
    # A joiner that joins nothing makes Rich count differently than it splits.
    return set_cell_size(shown, cell_len(text))


def _to_cells(part: str, cells: int) -> str:
    """A character and its marks in so many cells: less of it where it would take more."""
    for shown in (safe_text(part), safe_text(part[0])):
        if cell_len(shown) <= cells:
            return shown + " " * (cells - cell_len(shown))
    return " " * cells

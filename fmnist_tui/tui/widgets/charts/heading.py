"""The line above a chart: its title, its lines and their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from fmnist_tui.render.line_chart import BRAILLE


@dataclass(frozen=True, slots=True)
class LineValue:
    """A line in the heading, with its last value or that at the cursor."""

    symbol: str
    colour: str
    label: str
    value: str


def fit_heading(
    title: str,
    scale: str,
    at: str,
    entries: Sequence[LineValue],
    notes: Sequence[str],
    width: int,
    base: Style,
) -> list[Segment]:
    """As much as fits: the notes are left out first, then the scale, which the axis shows too.

    `at` says where the cursor is: then values matter more than the labels of the lines."""
    segments: list[Segment] = []
    shorter = [
        ((title, scale, at), True, True, True),
        ((title, scale, at), True, True, False),
        ((title, at), True, True, False),
        ((title, at), not at, bool(at), False),
        ((at or title,), not at, bool(at), False),
    ]
    for said, labels, values, noted in shorter:
        texts = [text for text in said if text]
        segments = [Segment(text, base + Style(bold=True)) for text in texts[:1]]
        segments += [Segment(f"  {text}", base) for text in texts[1:]]
        for entry in entries:
            segments += _entry_segments(entry, labels, values, base)
        segments += [Segment(f"  {note}", base) for note in notes if note and noted]
        if sum(cell_len(segment.text) for segment in segments) <= width:
            break
    return segments


def _entry_segments(entry: LineValue, labels: bool, values: bool, base: Style) -> list[Segment]:
    sample = "──" if entry.symbol == BRAILLE else entry.symbol * 2
    colour = base + Style(color=entry.colour)
    segments = [Segment("  ", base), Segment(sample, colour)]
    if labels:
        segments.append(Segment(f" {entry.label}", base))
    if values and entry.value:
        segments.append(Segment(f" {entry.value}", colour))
    return segments

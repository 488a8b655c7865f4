"""A drawn chart as strips, with marks and the cursor over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from fmnist_tui.render.line_chart import Chart
from fmnist_tui.tui.widgets.charts.colours import FRAME


@dataclass(frozen=True, slots=True)
class LineMark:
    """An event at an x: one letter above the chart, explained by the cursor; `meaning` says
    below the chart what all marks of this letter are."""

    x: float
    letter: str
    text: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class PlotStrips:
    """`uprights` are columns with a vertical line, and its style."""

    chart: Chart
    marks: Sequence[LineMark]
    uprights: Mapping[int, Style]
    colours: Mapping[str, str]
    base: Style
    width: int

    def row(self, row: int) -> Strip:
        frame = self.base + Style(color=self.colours[FRAME])
        segments = [
            Segment(text, self.base + Style(color=self.colours[name]) if name else frame)
            for text, name in self.chart.rows[row]
        ]
        strip = Strip(segments).adjust_cell_length(self.width, self.base)
        if self.chart.top <= row <= self.chart.bottom:
            return self._add_overlay(strip, row)
        if row == self.chart.bottom + 3:
            return self._explain_marks(strip, frame)
        return strip

    def _add_overlay(self, strip: Strip, row: int) -> Strip:
        columns: dict[int, tuple[str, Style]] = {}
        for column, style in self.uprights.items():
            under = strip.crop(column, column + 1).text
            columns[column] = (under if under.strip(" ┊") else "│"), style
        if row == self.chart.top:
            for mark in self._shown_marks():
                style = self.base + Style(bold=True, reverse=True)
                columns[self.chart.column(mark.x)] = mark.letter, style
        for column, (text, style) in sorted(columns.items()):
            strip = _replace_cells(strip, column, [Segment(text, style)])
        return strip

    def _shown_marks(self) -> list[LineMark]:
        return [mark for mark in self.marks if self.chart.low <= mark.x <= self.chart.high]

    def _explain_marks(self, strip: Strip, style: Style) -> Strip:
        """What the marks mean, at both sides of the label of the x axis, where that fits."""
        meanings = {mark.letter: mark.meaning for mark in self._shown_marks() if mark.meaning}
        left = self.chart.left
        for letter, meaning in meanings.items():
            size, text = len(letter) + 1 + len(meaning), strip.text
            before = len(text) - len(text.lstrip())
            if left + size + 3 <= before:
                start = left
            else:
                start = len(text.rstrip()) + 3
                # Fill what is free before the label, then what is free after it.
                gap = text.find(" " * (size + 6), left)
                if left < gap < start - 3:
                    start = gap + 3
            if start + size <= self.chart.right + 1:
                parts = [Segment(letter, style + Style(bold=True)), Segment(f" {meaning}", style)]
                strip = _replace_cells(strip, start, parts)
        return strip


def _replace_cells(strip: Strip, column: int, segments: Sequence[Segment]) -> Strip:
    """The strip with these segments from a column on."""
    inserted = Strip(segments)
    end = column + inserted.cell_length
    return Strip.join([strip.crop(0, column), inserted, strip.crop(end)])

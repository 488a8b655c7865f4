"""A line chart drawn by plotext, with event marks and a cursor that reads values."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from fmnist_tui.render.axis import NUMBERS, POWERS, format_axis_number, format_power
from fmnist_tui.render.line_chart import (
    BRAILLE,
    Chart,
    Line,
    describe_outside,
    draw_chart,
    has_space,
)
from fmnist_tui.tui.widgets.charts.colours import FRAME, chart_colours
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class LineMark:
    """An event at an x: one letter above the chart, explained by the cursor."""

    x: float
    letter: str
    text: str


class LineChart(IncrementalWidget, can_focus=True):
    """Curves in a frame. `show` sets the curves; live charts are redrawn at a limited rate."""

    DEFAULT_CSS = "LineChart { height: 1fr; min-height: 5; }"
    KEYS_TITLE = "Chart"
    # The largest share of the time that redrawing a live chart may take.
    MAX_TIME_SHARE: ClassVar[float] = 0.01
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "read(-1)", "Read values: left", show=False, id="chart.left"),
        Binding("right", "read(1)", "Read values: right", show=False, id="chart.right"),
        Binding("home", "read(-10000)", "Read the first values", show=False, id="chart.first"),
        Binding("end", "read(10000)", "Read the last values", show=False, id="chart.last"),
        Binding("escape", "unread", "Hide the cursor", show=False, id="chart.unread"),
    ]

    log_scale = False
    _lines: tuple[Line, ...] = ()
    _marks: tuple[LineMark, ...] = ()
    _xlabel = ""
    _span: tuple[float, float] | None = None
    _chart: Chart | None = None
    _drawn_for: object = None
    _cursor: int | None = None
    _next_redraw = 0.0
    _redraw_is_scheduled = False

    def __init__(
        self,
        title: str,
        *,
        percent: bool = False,
        square: bool = False,
        numbers: str = NUMBERS,
        empty: str = "",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._title, self._percent, self._square, self._empty = title, percent, square, empty
        self._numbers = numbers

    def show(
        self,
        lines: Sequence[Line],
        marks: Sequence[LineMark] = (),
        xlabel: str = "",
        *,
        span: tuple[float, float] | None = None,
        empty: str | None = None,
        live: bool = False,
    ) -> None:
        """Draw these lines, with at least `span` on the x axis; `empty` is shown without points.

        A live chart is redrawn as often as its share of the time allows."""
        self._lines, self._marks = tuple(lines), tuple(marks)
        self._xlabel, self._span = xlabel, span
        self._empty = self._empty if empty is None else empty
        now = time.monotonic()
        if not live or now >= self._next_redraw:
            self._redraw()
        elif not self._redraw_is_scheduled:
            self._redraw_is_scheduled = True
            self.set_timer(self._next_redraw - now, self._redraw)

    @property
    def is_due(self) -> bool:
        """Whether a live chart may be redrawn now."""
        return self.due_in == 0

    @property
    def due_in(self) -> float:
        """Seconds until a live chart may be redrawn."""
        return max(0.0, self._next_redraw - time.monotonic())

    def toggle_log(self) -> None:
        self.log_scale = not self.log_scale
        self._redraw()

    def _redraw(self) -> None:
        self._redraw_is_scheduled = False
        self._drawn_for = None
        self.repaint()

    @property
    def reading(self) -> str:
        """The values at the cursor; empty without a cursor."""
        chart = self._chart
        if chart is None or self._cursor is None:
            return ""
        x = chart.x_at(self._cursor)
        x_text = format_axis_number(round(x))
        if self._numbers == POWERS:
            x_text = format_power(x)
        parts = [f"{self._xlabel or 'x'} {x_text}"]
        for line in self._lines:
            if (value := _value_at(line, x)) is not None:
                text = format_percent(value) if self._percent else f"{value:.4g}"
                parts.append(f"{line.label} {text}")
        span = (chart.high - chart.low) / max(1, chart.right - chart.left)
        near = [mark.text for mark in self._marks if abs(mark.x - x) <= span / 2]
        return "  ".join([*parts, *near[:2]])

    def action_read(self, by: int) -> None:
        if (chart := self._chart) is not None:
            start = chart.right if by > 0 else chart.right + 1
            column = start if self._cursor is None else self._cursor
            self._cursor = max(chart.left, min(chart.right, column + by))
            self.repaint()

    def action_unread(self) -> None:
        self._cursor = None
        self.repaint()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        chart = self._chart
        if chart is not None and chart.left <= event.x <= chart.right and self._cursor != event.x:
            self._cursor = event.x
            self.repaint()

    def on_leave(self) -> None:
        if not self.has_focus:
            self.action_unread()

    on_blur = action_unread

    def _prepare(self) -> None:
        ascii_only = bool(self.app.has_class("-ascii"))
        key = (self.size, self.log_scale, id(self._lines), ascii_only)
        if self._drawn_for == key:
            return
        if self._lines:
            # Importing takes as long as many drawings, and would put off the next one.
            import plotext  # noqa: F401
        started = time.thread_time()
        width, height = self.size.width, self.size.height - 1
        self._chart = draw_chart(
            self._lines,
            width,
            height,
            xlabel=self._xlabel if height > 9 else "",
            log=self.log_scale,
            ascii_only=ascii_only,
            percent=self._percent,
            square=self._square,
            numbers=self._numbers,
            span=self._span,
        )
        self._drawn_for = key
        seconds = time.thread_time() - started
        self._next_redraw = time.monotonic() + seconds / self.MAX_TIME_SHARE

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        self._prepare()
        return [self._line(y, width, height, base) for y in range(height)]

    def _line(self, y: int, width: int, height: int, base: Style) -> Strip:
        if y == 0:
            return Strip(self._head(base))
        chart = self._chart
        if chart is None:
            text = self._explain_empty() if y == height // 2 else ""
            pad = max(0, (width - len(text)) // 2)
            return Strip([Segment(" " * pad + text, base)]).adjust_cell_length(width, base)
        row = y - 1
        if row >= len(chart.rows):
            return Strip.blank(width, base)
        colours = self._colours()
        frame = base + Style(color=colours[FRAME])
        segments = [
            Segment(text, base + Style(color=colours[name]) if name else frame)
            for text, name in chart.rows[row]
        ]
        strip = Strip(segments).adjust_cell_length(width, base)
        if chart.top <= row <= chart.bottom:
            strip = self._add_overlay(strip, chart, row, base)
        return strip

    def _explain_empty(self) -> str:
        """Why no chart is drawn."""
        if not any(line.xs for line in self._lines):
            return self._empty
        if not has_space(self.size.width, self.size.height - 1):
            return "not enough space"
        return "no value can be drawn" + (" on a log scale" if self.log_scale else "")

    def _add_overlay(self, strip: Strip, chart: Chart, row: int, base: Style) -> Strip:
        columns: dict[int, tuple[str, Style]] = {}
        if row == chart.top:
            for mark in self._marks:
                columns[chart.column(mark.x)] = (mark.letter, base + Style(bold=True, reverse=True))
        cursor = self._cursor
        if cursor is not None and chart.left <= cursor <= chart.right:
            under = strip.crop(cursor, cursor + 1).text
            character = under if under.strip() else "│"
            columns.setdefault(cursor, (character, base + Style(bold=True)))
        for column, (text, style) in sorted(columns.items()):
            strip = Strip.join(
                [strip.crop(0, column), Strip([Segment(text, style)], 1), strip.crop(column + 1)]
            )
        return strip

    def _head(self, base: Style) -> list[Segment]:
        colours = self._colours()
        segments = [Segment(self._title, base + Style(bold=True))]
        if self.log_scale:
            segments.append(Segment(" (log)", base))
        if reading := self.reading:
            return [*segments, Segment("  " + safe_text(reading), base)]
        lines = [line for line in self._lines if line.xs]
        for line, symbol in zip(lines, self._chart.symbols if self._chart else (), strict=False):
            sample = "──" if symbol == BRAILLE else symbol * 2
            segments.append(Segment("  ", base))
            segments.append(Segment(sample, base + Style(color=colours[line.colour])))
            segments.append(Segment(f" {safe_text(line.label, 30)}", base))
        if self._chart is not None and (outside := describe_outside(self._chart, self._percent)):
            segments.append(Segment(f"  {outside}", base))
        return segments

    def _colours(self) -> dict[str, str]:
        colours = chart_colours(
            self.app.current_theme.dark, self.app.theme_variables["background"][:7]
        )
        if self.has_focus:
            colours = {**colours, FRAME: self.app.theme_variables["accent"][:7]}
        return colours


def _value_at(line: Line, x: float) -> float | None:
    """The line's value at the point nearest to x; its xs are sorted."""
    if not line.xs:
        return None
    index = bisect_left(line.xs, x)
    near = [i for i in (index - 1, index) if 0 <= i < len(line.xs)]
    return line.ys[min(near, key=lambda i: abs(line.xs[i] - x))]

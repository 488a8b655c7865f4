"""A line chart with event marks, a cursor that reads values, zoom, and a table of its values."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.strip import Strip

from fmnist_tui.render.axis import NUMBERS, format_x
from fmnist_tui.render.line_chart import (
    Chart,
    Line,
    describe_outside,
    draw_chart,
    has_space,
    suggest_log,
    x_range,
)
from fmnist_tui.tui.theme import text_colour
from fmnist_tui.tui.widgets.charts.chart_view import AUTO, LOG, ChartView
from fmnist_tui.tui.widgets.charts.colours import FRAME, chart_colours
from fmnist_tui.tui.widgets.charts.heading import LineValue, fit_heading
from fmnist_tui.tui.widgets.charts.keys import FULL_KEYS, READ_KEYS, ZOOM_KEYS
from fmnist_tui.tui.widgets.charts.plot_strips import LineMark, PlotStrips
from fmnist_tui.tui.widgets.charts.value_table import ValueTable, value_at
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text

# A lower chart has no row for the label of the x axis.
_LABEL_ROWS = 8


class LineChart(IncrementalWidget, can_focus=True):
    """Curves in a frame. `show` sets the curves; live charts are redrawn at a limited rate.

    Charts with the same `view` have the same cursor and show the same part of the x axis. A chart
    with `may_log` has a log scale where that suits its values, or where the user chooses it."""

    DEFAULT_CSS = """
    LineChart { height: 1fr; min-height: 5;
        &.-maximized { width: 1fr !important; height: 1fr !important; }
    }
    """
    KEYS_TITLE = "Chart"
    # The largest share of the time that redrawing a live chart may take, and the shortest time
    # between two redraws: a terminal far away takes every changed cell.
    MAX_TIME_SHARE: ClassVar[float] = 0.01
    LEAST_SECONDS: ClassVar[float] = 1.5
    BINDINGS: ClassVar[list[BindingType]] = [*READ_KEYS, *ZOOM_KEYS, *FULL_KEYS]

    _lines: tuple[Line, ...] = ()
    _marks: tuple[LineMark, ...] = ()
    _guides: Sequence[float] = ()
    _xlabel = ""
    _span: tuple[float, float] | None = None
    _chart: Chart | None = None
    _drawn_for: object = None
    _next_redraw = 0.0
    _redraw_is_scheduled = False
    _dragged_from: int | None = None
    _was_dragged = False
    _suggests_log = False
    _table: ValueTable | None = None

    def __init__(
        self,
        title: str,
        *,
        percent: bool = False,
        square: bool = False,
        may_log: bool = False,
        numbers: str = NUMBERS,
        view: ChartView | None = None,
        empty: str = "",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._title, self._percent, self._square, self._empty = title, percent, square, empty
        self._may_log, self._numbers = may_log, numbers
        self._view = view or ChartView()
        self._view.charts.append(self)

    def show(
        self,
        lines: Sequence[Line],
        marks: Sequence[LineMark] = (),
        xlabel: str = "",
        *,
        numbers: str | None = None,
        guides: Sequence[float] = (),
        span: tuple[float, float] | None = None,
        empty: str | None = None,
        live: bool = False,
    ) -> None:
        """Draw these lines, with at least `span` on the x axis; `empty` is shown without points.

        A live chart is redrawn as often as its share of the time allows."""
        had_lines, self._lines = bool(self._lines), tuple(lines)
        self._marks, self._guides = tuple(marks), tuple(guides)
        self._xlabel, self._span = xlabel, span
        self._numbers = numbers or self._numbers
        self._suggests_log = self._may_log and suggest_log(self._lines)
        self._empty = self._empty if empty is None else empty
        if not self._lines and self.is_full:
            self.screen.minimize()
        if had_lines != bool(self._lines):
            self.refresh_bindings()
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

    @property
    def log_scale(self) -> bool:
        scale = self._view.scale
        return self._may_log and (self._suggests_log if scale == AUTO else scale == LOG)

    @property
    def is_full(self) -> bool:
        """Whether the chart has the whole screen."""
        return self.is_attached and self.screen.maximized is self

    @property
    def extent(self) -> tuple[float, float] | None:
        """The range of its xs; None without points."""
        return x_range(self._lines, self._span) if any(line.xs for line in self._lines) else None

    @property
    def label_cells(self) -> int:
        """The cells that the labels of its y axis need."""
        ticks = self._chart.y_axis.ticks if self._chart is not None else ()
        return max((len(label) for _, label in ticks), default=0)

    def view_changed(self, *, redraw: bool, keys: bool) -> None:
        if redraw:
            self._redraw()
        else:
            self.repaint()
        if keys:
            self.refresh_bindings()

    def _redraw(self) -> None:
        self._redraw_is_scheduled = False
        self._drawn_for = self._table = None
        if self.is_attached:
            self.repaint()

    @property
    def _cursor(self) -> int | None:
        """The column of the cursor, where that is shown."""
        chart, x = self._chart, self._view.cursor
        if chart is None or x is None or not chart.low <= x <= chart.high:
            return None
        return chart.column(x)

    def _x_text(self, x: float) -> str:
        return f"{self._xlabel or 'x'} {format_x(x, self._numbers)}"

    def _format_y(self, value: float) -> str:
        return format_percent(value) if self._percent else f"{value:.4g}"

    def _texts_near(self, x: float) -> list[str]:
        """What the marks at the cursor mean."""
        chart = self._chart
        if chart is None:
            return []
        column = (chart.high - chart.low) / max(1, chart.right - chart.left)
        return [mark.text for mark in self._marks if abs(mark.x - x) <= column / 2][:2]

    # -- keys and mouse ---------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "read_row":
            return self.is_full
        if action == "leave":
            return self.is_full or self._view.cursor is not None
        if action == "toggle_log":
            return self._may_log and bool(self._lines)
        if action in ("show_all", "pan"):
            return self._view.part is not None
        if action in ("read", "zoom", "toggle_full"):
            return bool(self._lines)
        return True

    def action_read(self, by: int) -> None:
        if (chart := self._chart) is not None:
            last = chart.column(max(line.xs[-1] for line in self._lines if line.xs))
            column = last + (by < 0) if self._cursor is None else self._cursor
            if self._view.part is not None and not chart.left <= column + by <= chart.right:
                self._view.pan(by / (chart.right - chart.left + 1))
                chart = self._chart or chart
            self._view.move_cursor(chart.x_at(max(chart.left, min(chart.right, column + by))))

    def action_read_row(self, by: int) -> None:
        table = self._value_table()
        if table.xs:
            row = table.nearest(self._view.cursor) + by
            self._view.move_cursor(table.xs[max(0, min(len(table.xs) - 1, row))])

    def action_leave(self) -> None:
        if self.is_full:
            self.screen.minimize()
        else:
            self._view.move_cursor(None)

    def action_zoom(self, factor: float) -> None:
        if (chart := self._chart) is not None:
            cursor = self._view.cursor if self._cursor is not None else None
            self._view.zoom(
                float(factor), (chart.low + chart.high) / 2 if cursor is None else cursor
            )

    def action_pan(self, by: float) -> None:
        self._view.pan(float(by))

    def action_show_all(self) -> None:
        self._view.show_all()

    def action_toggle_log(self) -> None:
        self._view.choose_scale(not self.log_scale, self._suggests_log)

    def action_toggle_full(self) -> None:
        if self.is_full:
            self.screen.minimize()
        else:
            self.screen.maximize(self, container=False)
        self.refresh_bindings()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._was_dragged = False
        if self._view.part is not None:
            self._dragged_from = event.x
            self.capture_mouse()

    def on_mouse_up(self) -> None:
        self._dragged_from = None
        self.release_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        chart = self._chart
        if chart is None:
            return
        if self._dragged_from is not None:
            if event.x != self._dragged_from:
                self._was_dragged = True
                self._view.pan((self._dragged_from - event.x) / (chart.right - chart.left + 1))
                self._dragged_from = event.x
        elif chart.left <= event.x <= chart.right:
            self._view.move_cursor(chart.x_at(event.x))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._zoom_at(event, 0.8)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._zoom_at(event, 1.25)

    def _zoom_at(self, event: events.MouseEvent, factor: float) -> None:
        chart = self._chart
        if chart is not None:
            event.stop()
            self._view.zoom(factor, chart.x_at(max(chart.left, min(chart.right, event.x))))

    def on_leave(self) -> None:
        if self._dragged_from is None:
            self._hide_cursor()

    def on_blur(self) -> None:
        self._hide_cursor()

    def _hide_cursor(self) -> None:
        """Hide the cursor unless one of the charts that have it is focused."""
        focused: object = self.screen.focused
        if focused not in self._view.charts:
            self._view.move_cursor(None)

    def on_hide(self) -> None:
        if self.is_full and not self.display:
            self.screen.minimize()

    # -- drawing ----------------------------------------------------------------------------

    def _prepare(self, width: int, height: int) -> None:
        ascii_only = bool(self.app.has_class("-ascii"))
        key = (width, height, self.log_scale, id(self._lines), ascii_only)
        if self._drawn_for == key:
            return
        if self._lines:
            # Importing takes as long as many drawings, and would put off the next one.
            import plotext  # noqa: F401
        started = time.thread_time()
        self._chart = draw_chart(
            self._lines,
            width,
            height,
            xlabel=self._xlabel if height > _LABEL_ROWS else "",
            log=self.log_scale,
            colour=not self.app.no_color,
            ascii_only=ascii_only,
            percent=self._percent,
            square=self._square,
            numbers=self._numbers,
            span=self._span,
            part=self._view.part,
            guides=self._guides,
            margin=self._view.margin,
        )
        self._drawn_for = key
        self.add_cost(time.thread_time() - started)
        self.call_later(self._view.fit_margin)

    def add_cost(self, seconds: float) -> None:
        """Put off the next redraw of a live chart by what this one has cost."""
        now = time.monotonic()
        due = max(self._next_redraw, now) + seconds / self.MAX_TIME_SHARE
        self._next_redraw = max(due, now + self.LEAST_SECONDS)

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        table = min(height // 3, len(self._value_table().xs) + 1) if self.is_full else 0
        drawn = height - 1 - table
        self._prepare(width, drawn)
        chart = self._chart
        if chart is None:
            return self._paint_empty(width, height, base)
        strips = [Strip(self._heading(width, base))]
        plot = PlotStrips(chart, self._marks, self._uprights(base), self._colours(), base, width)
        strips += [plot.row(row) for row in range(drawn)]
        return [*strips, *self._paint_table(table, base)] if table else strips

    def _paint_empty(self, width: int, height: int, base: Style) -> list[Strip]:
        """Why no chart is drawn."""
        text = "no value can be drawn" + (" on a log scale" if self.log_scale else "")
        if not any(line.xs for line in self._lines):
            text = self._empty
        elif not has_space(width, height - 1):
            text = "not enough space"
        blank = [Strip.blank(width, base)] * (height // 2 - 1)
        pad = max(0, (width - len(text)) // 2)
        title = Strip([Segment(self._title, base + Style(bold=True))])
        return [title, *blank, Strip([Segment(" " * pad + text, base)])]

    def _uprights(self, base: Style) -> dict[int, Style]:
        """The columns of vertical lines over the chart."""
        cursor = self._cursor
        return {} if cursor is None else {cursor: base + Style(bold=True)}

    def _heading(self, width: int, base: Style) -> list[Segment]:
        chart, colours, cursor = self._chart, self._colours(), self._cursor
        x = self._view.cursor if cursor is not None else None
        entries = []
        lines = [line for line in self._lines if line.xs]
        for line, symbol in zip(lines, chart.symbols if chart else (), strict=False):
            last = line.ys[-1] if not self._square else None
            value = last if x is None else value_at(line, x)
            text = self._format_y(value) if value is not None else ""
            entries.append(LineValue(symbol, colours[line.colour], safe_text(line.label, 30), text))
        notes = [describe_outside(chart, self._percent)] if chart is not None else []
        if x is not None:
            notes = self._texts_near(x)
        scale = "log" if self.log_scale else ""
        at = self._x_text(x) if x is not None else ""
        return fit_heading(self._title, scale, at, entries, notes, width, base)

    def _value_table(self) -> ValueTable:
        if self._table is None:
            self._table = ValueTable.of(self._lines, self._view.part)
        return self._table

    def _paint_table(self, height: int, base: Style) -> list[Strip]:
        def x_text(x: float) -> str:
            return format_x(x, self._numbers)

        return self._value_table().paint(
            height, self._view.cursor, self._xlabel, x_text, self._format_y, self._colours(), base
        )

    def _colours(self) -> dict[str, str]:
        theme = self.app.theme_variables
        colours = chart_colours(self.app.current_theme.dark, text_colour(theme["background"]))
        if self.has_focus:
            colours = {**colours, FRAME: text_colour(theme["accent"])}
        return colours

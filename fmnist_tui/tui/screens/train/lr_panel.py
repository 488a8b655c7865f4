"""The panel of a search for a learning rate: its curve, and a point on it to choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.protocol.lr_curve import LrSuggestion, RatePoint, chart_points, round_rate
from fmnist_tui.protocol.lr_search import LrSearch
from fmnist_tui.render.axis import POWERS
from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.train.progress import wrap_parts
from fmnist_tui.tui.theme import text_colour
from fmnist_tui.tui.widgets.charts.keys import ZOOM_KEYS
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.tui.widgets.charts.plot_strips import LineMark
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.text import safe_text

STRIDE = 10
TextLine = tuple[str, Sequence[str]]


class LrCurve(LineChart, inherit_bindings=False):
    """The loss by learning rate, with a line at the chosen point."""

    KEYS_TITLE = "Learning rate"
    # Training is undone after a search, so that it need not run at full speed.
    MAX_TIME_SHARE: ClassVar[float] = 0.05
    LEAST_SECONDS: ClassVar[float] = 0.2
    # The arrows move the point of the panel.
    BINDINGS: ClassVar[list[BindingType]] = [
        each for each in ZOOM_KEYS if not each.key.startswith("shift")
    ]

    @dataclass
    class RateClicked(Message):
        """The user has clicked on the chart, at a rate of 10 ** exponent."""

        exponent: float

    _point: float | None = None

    def __init__(self) -> None:
        super().__init__("loss", numbers=POWERS, empty="the curve appears here, step by step")

    def set_point(self, rate: float | None) -> None:
        """Draw the line at this rate."""
        self._point = math.log10(rate) if rate else None
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        chart = self._chart
        if chart is not None and chart.left <= event.x <= chart.right and not self._was_dragged:
            self.post_message(self.RateClicked(chart.x_at(event.x)))

    def _uprights(self, base: Style) -> dict[int, Style]:
        uprights = super()._uprights(base)
        chart = self._chart
        if chart is not None and self._point is not None and chart.low <= self._point <= chart.high:
            style = base + Style(color=text_colour(self.app.theme_variables["accent"]), bold=True)
            uprights = {chart.column(self._point): style, **uprights}
        return uprights


class LrText(IncrementalWidget):
    """Lines of text: each has a colour of the theme, and parts that are not broken."""

    DEFAULT_CSS = "LrText { height: 3; }"

    _lines: Sequence[TextLine] = ()

    def show(self, *lines: TextLine) -> None:
        self._lines = lines
        self.repaint()

    @property
    def text(self) -> str:
        return "\n".join("  ".join(parts) for _, parts in self._lines)

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        strips = []
        for name, parts in self._lines:
            colour = text_colour(self.app.theme_variables.get(name, ""))
            style = base + Style(color=colour or None)
            for line in wrap_parts([safe_text(part) for part in parts if part], width):
                strips.append(Strip([Segment(line, style)]))
        return strips


class LrPanel(Vertical):
    """Shows a search and its progress; posts `RateChosen` when the user chooses a rate."""

    DEFAULT_CSS = """
    LrPanel { height: 1fr; }
    LrPanel LrText { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "use", "Use this rate", id="lr.take"),
        Binding("escape", "close", "Close the search", id="lr.leave"),
        Binding("left", "move(-1)", "Move the point", id="lr.lower"),
        Binding("right", "move(1)", "Move the point", id="lr.higher"),
        Binding("shift+left", f"move(-{STRIDE})", "Lower by ten", show=False, id="lr.far_lower"),
        Binding("shift+right", f"move({STRIDE})", "Higher by ten", show=False, id="lr.far_higher"),
        Binding("home", "suggested", "Back to the suggestion", show=False, id="lr.suggested"),
    ]

    @dataclass
    class RateChosen(Message):
        """The user wants this rate; `again` if it is in use already."""

        lr: float
        again: bool

    class SearchClosed(Message):
        """The user closes the search, or cancels it."""

    _search: LrSearch | None = None
    _curve_version: object = None
    _suggestion = LrSuggestion()
    # The chosen point, by its number on the smoothed curve.
    _point: int | None = None
    _used_lr: float | None = None
    _live = False
    _error = ""
    _rise = 1.0

    curve = getters.query_one(LrCurve)
    _text = getters.query_one(LrText)

    def compose(self) -> ComposeResult:
        yield LrCurve()
        yield LrText()

    def on_mount(self) -> None:
        self.border_title = "learning rate"

    @property
    def text(self) -> str:
        """The text below the curve."""
        return self._text.text

    @property
    def lr(self) -> float | None:
        """The rate at the chosen point, rounded."""
        return None if self._point is None else round_rate(self._suggestion.smooth[self._point][0])

    @property
    def _ended(self) -> bool:
        return self._search is not None and self._search.end is not None

    def show(
        self, search: LrSearch | None, *, live: bool, error: str = "", rise: float = 1.0
    ) -> None:
        """Show a search, None where it has not started.

        `live`: a training is in progress that can use the rate, and whose schedule will raise
        it by the factor `rise`. `error` says why the search has no result."""
        self._live, self._error, self._rise = live, error, rise
        if search is not self._search:
            self._search, self._point, self._used_lr = search, None, None
        settled = search is None or self._ended
        version = (id(search), len(search.points) if search is not None else 0, self._ended)
        if version != self._curve_version and (settled or self.curve.is_due):
            self._curve_version = version
            self._draw_curve()
            if settled:
                self.refresh_bindings()
        self._update_text()

    def mark_used(self, lr: float) -> None:
        """Say that the rate is in the settings now."""
        self._used_lr = lr
        self._update_text()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("move", "suggested"):
            return True if self._ended and self._suggestion.smooth else None
        if action == "use":
            return True if self._ended and self._point is not None else None
        return True

    # -- keys ---------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        count = len(self._suggestion.smooth)
        point = self._point if self._point is not None else count // 2
        self._set_point(max(0, min(count - 1, point + by)))

    def action_suggested(self) -> None:
        if self._suggestion.lr is not None:
            self._set_point(self._suggestion.nearest_index(self._suggestion.lr))

    @on(LrCurve.RateClicked)
    def _go_to_rate(self, event: LrCurve.RateClicked) -> None:
        if self._ended and self._suggestion.smooth:
            self._set_point(self._suggestion.nearest_index(10**event.exponent))

    def action_use(self) -> None:
        if self.lr is not None:
            self.post_message(self.RateChosen(self.lr, again=self._used_lr == self.lr))

    def action_close(self) -> None:
        self.post_message(self.SearchClosed())

    def _set_point(self, point: int) -> None:
        self._point, self._used_lr = point, None
        self.refresh_bindings()
        self.curve.set_point(self._suggestion.smooth[point][0])
        self._update_text()

    # -- showing ------------------------------------------------------------------------------

    def _draw_curve(self) -> None:
        search = self._search
        if search is None:
            self._suggestion = LrSuggestion()
            self.curve.show([])
            self.curve.set_point(None)
            return
        self._suggestion = suggestion = search.suggestion()
        line = _build_line(chart_points(search.points, suggestion.smooth), suggestion.smooth)
        marks = _build_marks(suggestion) if self._ended else []
        span = None
        if not self._ended and search.span is not None:
            span = (math.log10(search.span[0]), math.log10(search.span[1]))
        lines = [line] if line.xs else []
        self.curve.show(lines, marks, "lr", span=span, live=not self._ended)
        if self._ended and suggestion.lr is not None:
            self._point = suggestion.nearest_index(suggestion.lr)
        rate = suggestion.smooth[self._point][0] if self._point is not None else None
        self.curve.set_point(rate)

    def _update_text(self) -> None:
        text, search = self._text, self._search
        if self._error:
            text.show(("error", [f"✗ {self._error}"]), ("foreground-muted", [_close_hint()]))
        elif search is None:
            text.show(("foreground", ["waiting for the first step …"]), _cancel_line())
        elif not self._ended:
            text.show(("foreground", self._progress_parts(search)), _cancel_line())
        elif self._used_lr is not None and not self._live:
            text.show(
                ("success", [f"✓ lr {self._used_lr:g} is in the settings"]),
                (
                    "foreground-muted",
                    [name_keys("{lr.take} or {train.go} starts a run with it"), _close_hint()],
                ),
            )
        else:
            text.show(self._result_line(search), self._keys_line())

    def _progress_parts(self, search: LrSearch) -> list[str]:
        left = search.eta_seconds
        rate, loss = search.points[-1]
        return [
            f"step {len(search.points)} of {search.probes}",
            f"lr {rate:.2g}",
            f"loss {loss:.4g}",
            f"{format_duration(left)} left" if left is not None else "",
        ]

    def _result_line(self, search: LrSearch) -> TextLine:
        """The chosen point, or why there is none."""
        end, suggestion = search.end, self._suggestion
        if self._point is not None and self.lr is not None:
            parts = [f"lr {self.lr:g}", f"loss {suggestion.smooth[self._point][1]:.4g}"]
            if self.lr == suggestion.lr:
                parts.append("the loss falls fastest here")
            elif suggestion.lr is not None:
                parts.append(f"suggested: S {suggestion.lr:g}")
            if self._live and self._rise > 1:
                parts.append(f"from there the schedule rises to {self.lr * self._rise:.2g}")
            elif suggestion.low is not None and suggestion.high is not None:
                parts.append(f"it falls from {suggestion.low:g} to {suggestion.high:g}")
            return "accent", parts
        if end is not None and end.reason != FINISHED:
            return "warning", [end.message or "the search was cancelled"]
        return "warning", [f"✗ {suggestion.message}"]

    def _keys_line(self) -> TextLine:
        """What the keys do; what a narrow terminal has no room for stands last."""
        parts, far = [], []
        if self._suggestion.smooth:
            parts.append(name_keys("{lr.lower}, {lr.higher} move the point"))
            far.append(name_keys("{lr.far_lower}, {lr.far_higher} move it by ten"))
        if self._point is not None:
            parts.append(
                name_keys("{lr.take} sends it to the run" if self._live else "{lr.take} uses it")
            )
        return "foreground-muted", [*parts, _close_hint(), *far]


def _close_hint() -> str:
    return name_keys("{lr.leave} closes the search")


def _cancel_line() -> TextLine:
    hint = name_keys("{lr.leave} cancels it")
    return "foreground-muted", ["its training is undone afterwards", hint]


def _build_line(points: Sequence[RatePoint], smooth: Sequence[RatePoint]) -> Line:
    losses = [loss for _, loss in points]
    levels = [level for _, level in smooth]
    return Line("smoothed", [math.log10(lr) for lr, _ in smooth], levels, "cyan", losses, losses)


def _build_marks(suggestion: LrSuggestion) -> list[LineMark]:
    """Marks at the suggestion and at the range in which the loss falls."""
    marks = (
        (suggestion.low, "[", "the loss falls from here"),
        (suggestion.high, "]", "lowest loss"),
        (suggestion.lr, "S", "suggested"),
    )
    return [
        LineMark(math.log10(lr), letter, text, text) for lr, letter, text in marks if lr is not None
    ]

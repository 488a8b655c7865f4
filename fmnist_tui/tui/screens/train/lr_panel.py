"""A search for a learning rate: its curve as it grows, and then a point on it to be chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.protocol.lr_curve import LrSuggestion, Point, chart_points, round_rate
from fmnist_tui.protocol.lr_search import LrSearch
from fmnist_tui.render.line_chart import Chart, Line
from fmnist_tui.tui.screens.train.progress import wrapped
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.tui.widgets.line_chart import LineChart, LineMark
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.text import safe_text

FAR = 10


class LrCurve(LineChart, inherit_bindings=False):
    """The losses by their rates, with a line where the chosen point is."""

    KEYS_TITLE = "Learning rate"
    # Nothing that is learnt meanwhile is kept: it need not be learnt at full speed.
    SHARE: ClassVar[float] = 0.05

    class Picked(Message):
        """A place of the chart has been clicked: the exponent of its rate."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x

    def __init__(self) -> None:
        super().__init__("", powers=True, empty="the curve comes here, step by step")
        self._point: float | None = None

    def choose(self, rate: float | None) -> None:
        """Draw the line at this rate."""
        self._point = math.log10(rate) if rate else None
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        chart = self._chart
        if chart is not None and chart.left <= event.x <= chart.right:
            self.post_message(self.Picked(chart.x_at(event.x)))

    def _overlaid(self, strip: Strip, chart: Chart, row: int, base: Style) -> Strip:
        if self._point is not None:
            column = chart.column(self._point)
            under = strip.crop(column, column + 1).text
            style = base + Style(color=self.app.theme_variables["accent"][:7], bold=True)
            line = Segment(under if under.strip() else "│", style)
            strip = Strip.join([strip.crop(0, column), Strip([line], 1), strip.crop(column + 1)])
        return super()._overlaid(strip, chart, row, base)


class Words(IncrementalWidget):
    """A few lines of text, each in a style of the theme; what does not fit is wrapped."""

    DEFAULT_CSS = "Words { height: 3; }"

    def __init__(self) -> None:
        super().__init__()
        self._said: Sequence[tuple[str, Sequence[str]]] = ()

    def say(self, *lines: tuple[str, Sequence[str]]) -> None:
        """Show these lines: a theme variable's name, and the parts that are not broken."""
        self._said = lines
        self.repaint()

    @property
    def text(self) -> str:
        """What is shown."""
        return "\n".join("  ".join(parts) for _, parts in self._said)

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        strips = []
        for name, parts in self._said:
            colour = str(self.app.theme_variables.get(name, ""))[:7]
            style = base + Style(color=colour) if colour.startswith("#") else base
            for line in wrapped([safe_text(part) for part in parts if part], width):
                strips.append(Strip([Segment(line, style)]))
        return strips


class LrPanel(Vertical):
    """`show` gives it a search as it stands. The point chosen goes out as a message."""

    DEFAULT_CSS = """
    LrPanel { height: 1fr; }
    LrPanel Words { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Take this rate", id="lr.take"),
        Binding("escape", "leave", "Leave the search", id="lr.leave"),
        Binding("left", "move(-1)", "Move the point", id="lr.lower"),
        Binding("right", "move(1)", "Move the point", id="lr.higher"),
        Binding("shift+left", f"move(-{FAR})", "Lower by ten steps", show=False, id="lr.far_lower"),
        Binding("shift+right", f"move({FAR})", "Higher by ten", show=False, id="lr.far_higher"),
        Binding("home", "suggested", "Back to the suggestion", show=False, id="lr.suggested"),
    ]

    class Taken(Message):
        """This rate is wanted; `again` if it had been taken already."""

        def __init__(self, lr: float, again: bool) -> None:
            super().__init__()
            self.lr, self.again = lr, again

    class Left(Message):
        """The search is not wanted, or not any more."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._search: LrSearch | None = None
        self._seen: object = None
        self._reading = LrSuggestion()
        self._at: int | None = None
        self._taken: float | None = None
        self._live = False
        self._trouble = ""
        self._rise = 1.0

    def compose(self) -> ComposeResult:
        yield LrCurve()
        yield Words()

    def on_mount(self) -> None:
        self.border_title = "learning rate"

    @property
    def curve(self) -> LrCurve:
        return self.query_one(LrCurve)

    @property
    def said(self) -> str:
        """What is told below the curve."""
        return self.query_one(Words).text

    @property
    def lr(self) -> float | None:
        """The rate of the chosen point, as it would be taken."""
        return round_rate(self._reading.smooth[self._at][0]) if self._at is not None else None

    def show(
        self, search: LrSearch | None, *, live: bool, trouble: str = "", rise: float = 1.0
    ) -> None:
        """Show a search, None while it has not begun. `live` says that a training goes on which
        a rate would be given to, and whose schedule would take it up by the factor `rise`;
        `trouble` says why there is nothing more to come."""
        self._live, self._trouble, self._rise = live, trouble, rise
        if search is not self._search:
            self._search, self._at, self._taken = search, None, None
        over = search is not None and search.end is not None
        seen = (id(search), len(search.points) if search is not None else 0, over)
        if seen != self._seen and (over or search is None or self.curve.due):
            self._seen = seen
            self._read()
            if over or search is None:
                self.refresh_bindings()
        self._tell()

    def done(self, lr: float) -> None:
        """The rate has been taken."""
        self._taken = lr
        self._tell()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        over = self._search is not None and self._search.end is not None
        if action in ("move", "suggested"):
            return True if over and self._reading.smooth else None
        if action == "take":
            return True if over and self._at is not None else None
        return True

    # -- what the keys do ---------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        points = self._reading.smooth
        here = self._at if self._at is not None else len(points) // 2
        self._choose(max(0, min(len(points) - 1, here + by)))

    def action_suggested(self) -> None:
        if self._reading.lr is not None:
            self._choose(self._reading.nearest_index(self._reading.lr))

    @on(LrCurve.Picked)
    def _picked(self, event: LrCurve.Picked) -> None:
        if self._search is not None and self._search.end is not None and self._reading.smooth:
            self._choose(self._reading.nearest_index(10**event.x))

    def action_take(self) -> None:
        if self.lr is not None:
            self.post_message(self.Taken(self.lr, again=self._taken == self.lr))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def _choose(self, at: int) -> None:
        self._at, self._taken = at, None
        self.refresh_bindings()
        self.curve.choose(self._reading.smooth[at][0])
        self._tell()

    # -- what is shown ------------------------------------------------------------------------

    def _read(self) -> None:
        search = self._search
        if search is None:
            self._reading = LrSuggestion()
            self.curve.show([])
            self.curve.choose(None)
            return
        self._reading = found = search.suggestion()
        lines = [
            _line("loss", chart_points(search.points, found.smooth), "cyan"),
            _line("smoothed", found.smooth, "orange"),
        ]
        over = search.end is not None
        marks = _marks(found) if over else []
        span = None
        if not over and search.span is not None:
            span = (math.log10(search.span[0]), math.log10(search.span[1]))
        drawn = [line for line in lines if line.xs]
        self.curve.show(drawn, marks, "lr", span=span, live=not over)
        if over and found.lr is not None:
            self._at = found.nearest_index(found.lr)
        self.curve.choose(found.smooth[self._at][0] if self._at is not None else None)

    def _tell(self) -> None:
        words, search = self.query_one(Words), self._search
        if self._trouble:
            words.say(("error", [f"✗ {self._trouble}"]), ("foreground-muted", ["escape leaves it"]))
        elif search is None:
            words.say(("foreground", ["waiting for the first step …"]), _GIVE_UP)
        elif search.end is None:
            words.say(("foreground", self._progress(search)), _GIVE_UP)
        elif self._taken is not None and not self._live:
            words.say(
                ("success", [f"✓ lr {self._taken:g} is in the settings"]),
                ("foreground-muted", ["enter or space starts a run with it", "escape leaves it"]),
            )
        else:
            words.say(self._verdict(search), self._keys())

    def _progress(self, search: LrSearch) -> list[str]:
        left = search.eta_seconds
        rate, loss = search.points[-1]
        return [
            f"step {len(search.points)} of {search.probes}",
            f"lr {rate:.2g}",
            f"loss {loss:.4g}",
            f"{format_duration(left)} left" if left is not None else "",
        ]

    def _verdict(self, search: LrSearch) -> tuple[str, list[str]]:
        """The chosen point, or why there is none."""
        end = search.end
        found = self._reading
        if self._at is not None and self.lr is not None:
            mine = self.lr == found.lr
            told = f"S {found.lr:g}" if found.lr is not None else ""
            parts = [f"lr {self.lr:g}", f"loss {found.smooth[self._at][1]:.4g}"]
            parts.append("the loss falls fastest here" if mine else f"suggested: {told}")
            if self._live and self._rise > 1:
                parts.append(f"from there the schedule rises to {self.lr * self._rise:.2g}")
            elif found.low is not None and found.high is not None:
                parts.append(f"it falls from {found.low:g} to {found.high:g}")
            return "accent", parts
        if end is not None and end.reason != FINISHED:
            return "warning", [end.message or "the search was cancelled"]
        return "warning", [f"✗ {found.message}"]

    def _keys(self) -> tuple[str, list[str]]:
        parts = ["← → move the point, with shift further"] if self._reading.smooth else []
        if self._at is not None:
            parts.append("enter gives it to the run" if self._live else "enter takes it")
        return "foreground-muted", [*parts, "escape leaves it"]


_GIVE_UP = ("foreground-muted", ["nothing that is learnt meanwhile is kept", "escape gives it up"])


def _line(label: str, points: Sequence[Point], colour: str) -> Line:
    return Line(label, [math.log10(lr) for lr, _ in points], [loss for _, loss in points], colour)


def _marks(found: LrSuggestion) -> list[LineMark]:
    """The suggestion, and the range in which the loss falls."""
    told = (
        (found.low, "[", "from here on it falls"),
        (found.high, "]", "here it is lowest"),
        (found.lr, "S", "suggested"),
    )
    return [LineMark(math.log10(lr), letter, text) for lr, letter, text in told if lr is not None]

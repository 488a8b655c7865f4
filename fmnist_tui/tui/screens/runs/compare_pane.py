"""Curves of several runs in one chart, one kind of curve at a time, beside a page of details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, ScrollableContainer
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.protocol.events import ENSEMBLE, LRFIND, SWEEP
from fmnist_tui.render.axis import NUMBERS, WHOLE
from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.runs.compare import build_lines, build_page, build_verdicts, shows_steps
from fmnist_tui.tui.screens.runs.comparison import Comparison
from fmnist_tui.tui.state.settings import Settings
from fmnist_tui.tui.widgets.charts.chart_view import ChartView
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.util.sequences import next_item

# Chart titles by curve.
TITLES = {"val_accuracy": "val accuracy", "val_loss": "val loss", "train_loss": "train loss"}
# The view of the page alone, where it does not fit beside the chart.
PAGE = "page"
NO_CURVE = "no data yet"
EMPTY_CURVES = {
    LRFIND: "{table.open} shows the curve of a search",
    ENSEMBLE: "its members are no longer beside it",
    SWEEP: "{table.open} shows the trials of a sweep",
}


class ComparePage(ScrollableContainer, can_focus=True):
    """Scrollable results and settings."""

    KEYS_TITLE = "Settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False, id="page.down"),
        Binding("k", "scroll_up", "Up", show=False, id="page.up"),
    ]


class ComparePane(Container):
    """Shows one of the curves in TITLES, and the page."""

    DEFAULT_CSS = """
    ComparePane { layout: horizontal;
        & LineChart { width: 3fr; }
        & ComparePage { width: 2fr; }
        & ComparePage { scrollbar-size: 1 1; }
        & ComparePage Static { width: 1fr; padding: 0 1; }
        & ComparePage Static.-wide { width: auto; }
        & #verdict { dock: bottom; height: auto; display: none; }
        & #verdict.-shown { display: block; }
    }
    """

    def __init__(self, settings: Settings, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        view = settings.get("runs.curves")
        self.view = view if view in TITLES else next(iter(TITLES))
        self._chart_view = ChartView(settings)
        self._page = self._verdicts = Content("")
        self._folded = False
        self._empty, self._xlabel = NO_CURVE, "epoch"
        self._lines: Mapping[str, Sequence[Line]] = {}

    def compose(self) -> ComposeResult:
        for name, title in TITLES.items():
            yield LineChart(
                title,
                percent=name == "val_accuracy",
                may_log=name != "val_accuracy",
                view=self._chart_view,
                empty=NO_CURVE,
                id=f"curve-{name}",
                classes="pane",
            )
        with ComparePage(id="page", classes="pane"):
            yield Static(id="figures", markup=False)
            yield Static(id="verdict", markup=False)

    def on_mount(self) -> None:
        for chart in self.query(LineChart):
            chart.border_title = "Curves"
        self._update_display()

    def fold(self, folded: bool) -> None:
        """Show the chart or the page instead of both side by side."""
        if folded != self._folded:
            self._folded = folded
            if not folded and self.view == PAGE:
                self.view = next(iter(TITLES))
            self._update_display()

    def next_view(self) -> str:
        """Show the next view; returns its name."""
        views = [*TITLES, PAGE] if self._folded else list(TITLES)
        self.view = next_item(views, self.view)
        self._update_display()
        return self.view

    def show(self, comparison: Comparison, colours: Mapping[str, str]) -> None:
        """Draw the curves of these runs, and their page, with these colours of lines."""
        compared = comparison.compared
        kinds = {each.item.kind for each in compared}
        known = EMPTY_CURVES.get(kinds.pop(), NO_CURVE) if len(kinds) == 1 else NO_CURVE
        empty = name_keys(known)
        live = any(each.item.is_live for each in compared)
        xlabel = "step" if shows_steps(compared) else "epoch"
        lines = {name: build_lines(compared, name) for name in TITLES}
        if _labels(lines) != _labels(self._lines) or xlabel != self._xlabel:
            # The part of the x axis that is shown was a part of other curves.
            self._chart_view.show_all()
        for name in TITLES:
            new, old = lines[name], self._lines.get(name, ())
            if (new, empty, xlabel) != (old, self._empty, self._xlabel):
                chart = self.query_one(f"#curve-{name}", LineChart)
                numbers = WHOLE if xlabel == "step" else NUMBERS
                chart.show(new, xlabel=xlabel, numbers=numbers, live=live, empty=empty)
        self._lines, self._empty, self._xlabel = lines, empty, xlabel
        title = "Differences" if len(compared) > 1 else "Settings"
        if len(compared) == 1:
            title += f" of {compared[0].name}"
        set_border_titles(self.query_one("#page"), title)
        page = build_page(compared, colours)
        # The lines of several columns are not wrapped.
        self.query_one("#figures").set_class(len(compared) > 1, "-wide")
        if page != self._page:
            self._page = page
            self.query_one("#figures", Static).update(page)
        verdicts = build_verdicts(comparison.verdicts)
        if verdicts != self._verdicts:
            self._verdicts = verdicts
            shown = self.query_one("#verdict", Static)
            shown.set_class(bool(verdicts), "-shown")
            shown.update(verdicts)

    def _update_display(self) -> None:
        focused = self.screen.focused
        for name in TITLES:
            self.query_one(f"#curve-{name}").display = name == self.view
        self.query_one("#page").display = self.view == PAGE or not self._folded
        if focused is not None and focused in self.query("*") and not focused.display:
            selector = "#page" if self.view == PAGE else f"#curve-{self.view}"
            self.query_one(selector).focus()


def _labels(lines: Mapping[str, Sequence[Line]]) -> list[str]:
    return [line.label for name in lines for line in lines[name]]

"""Curves of several runs in one chart, one kind of curve at a time, beside a page of details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, ScrollableContainer
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.util.sequences import next_item

# Chart titles by curve.
TITLES = {"val_accuracy": "val accuracy", "val_loss": "val loss", "train_loss": "train loss"}
# The view of the page alone, where it does not fit beside the chart.
PAGE = "page"
NO_CURVE = "no data yet"


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
    }
    """

    def __init__(self, view: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.view = view if view in TITLES else next(iter(TITLES))
        self._page = Content("")
        self._folded = False
        self._empty = NO_CURVE
        self._lines: Mapping[str, Sequence[Line]] = {}

    def compose(self) -> ComposeResult:
        for name, title in TITLES.items():
            yield LineChart(
                title,
                percent=name == "val_accuracy",
                empty=NO_CURVE,
                id=f"curve-{name}",
                classes="pane",
            )
        with ComparePage(id="page", classes="pane"):
            yield Static(id="figures", markup=False)

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

    def show(
        self,
        lines: Mapping[str, Sequence[Line]],
        page: Content,
        title: str,
        *,
        wide: bool = False,
        live: bool = False,
        empty: str = NO_CURVE,
    ) -> None:
        """Draw these lines, by curve, and this page under its title. The lines of a wide page
        are not wrapped; a chart without lines shows `empty`."""
        for name in TITLES:
            new, old = lines.get(name, ()), self._lines.get(name, ())
            if (new, empty) != (old, self._empty):
                chart = self.query_one(f"#curve-{name}", LineChart)
                chart.show(new, xlabel="epoch", live=live, empty=empty)
        self._lines, self._empty = lines, empty
        set_border_titles(self.query_one("#page"), title)
        figures = self.query_one("#figures", Static)
        figures.set_class(wide, "-wide")
        if page != self._page:
            self._page = page
            figures.update(page)

    def _update_display(self) -> None:
        focused = self.screen.focused
        for name in TITLES:
            self.query_one(f"#curve-{name}").display = name == self.view
        self.query_one("#page").display = self.view == PAGE or not self._folded
        if focused is not None and focused in self.query("*") and not focused.display:
            selector = "#page" if self.view == PAGE else f"#curve-{self.view}"
            self.query_one(selector).focus()

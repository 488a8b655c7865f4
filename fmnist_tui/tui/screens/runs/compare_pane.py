"""Curves of several runs in one chart, one kind at a time, beside a page of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, ScrollableContainer
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.widgets.incremental import entitle
from fmnist_tui.tui.widgets.line_chart import LineChart

# Names of curves with their titles; a fourth view, where there is no room for it beside
# them, is the page of figures.
TITLES = {"val_accuracy": "val accuracy", "val_loss": "val loss", "train_loss": "train loss"}
PAGE = "page"
NO_FIGURES = "no such figures yet"


class Page(ScrollableContainer, can_focus=True):
    """Figures to be scrolled."""

    KEYS_TITLE = "Settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False, id="page.down"),
        Binding("k", "scroll_up", "Up", show=False, id="page.up"),
    ]


class ComparePane(Container):
    """`show` gives it lines by kind and the page; `turn` goes to the next kind."""

    DEFAULT_CSS = """
    ComparePane { layout: horizontal;
        & LineChart { width: 3fr; }
        & Page { width: 2fr; }
        & Page { scrollbar-size: 1 1; }
        & Page Static { width: 1fr; padding: 0 1; }
        & Page Static.-wide { width: auto; }
    }
    """

    def __init__(self, view: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.view = view if view in TITLES else next(iter(TITLES))
        self._page = Content("")
        self._folded = False
        self._empty = NO_FIGURES
        self._lines: Mapping[str, Sequence[Line]] = {}

    def compose(self) -> ComposeResult:
        for name, title in TITLES.items():
            yield LineChart(
                title,
                percent=name == "val_accuracy",
                empty=NO_FIGURES,
                id=f"curve-{name}",
                classes="pane",
            )
        with Page(id="page", classes="pane"):
            yield Static(id="figures", markup=False)

    def on_mount(self) -> None:
        for chart in self.query(LineChart):
            chart.border_title = "Curves"
        self._arrange()

    def fold(self, folded: bool) -> None:
        """Whether the page takes the place of the chart instead of standing beside it."""
        if folded != self._folded:
            self._folded = folded
            if not folded and self.view == PAGE:
                self.view = next(iter(TITLES))
            self._arrange()

    def turn(self) -> str:
        """Show the next kind; its name."""
        views = [*TITLES, PAGE] if self._folded else list(TITLES)
        self.view = views[(views.index(self.view) + 1) % len(views)]
        self._arrange()
        return self.view

    def show(
        self,
        lines: Mapping[str, Sequence[Line]],
        page: Content,
        title: str,
        *,
        wide: bool = False,
        live: bool = False,
        empty: str = NO_FIGURES,
    ) -> None:
        """Draw these curves (by epoch) and this page under its title; a wide page's lines are
        not wrapped. `empty` is said where there is no curve."""
        before, self._lines = (self._lines, self._empty), lines
        self._empty = empty
        for name in TITLES:
            if (lines.get(name, ()), empty) != (before[0].get(name, ()), before[1]):
                self.query_one(f"#curve-{name}", LineChart).show(
                    lines.get(name, ()), xlabel="epoch", live=live, empty=empty
                )
        entitle(self.query_one("#page"), title)
        figures = self.query_one("#figures", Static)
        figures.set_class(wide, "-wide")
        if page != self._page:
            self._page = page
            figures.update(page)

    def _arrange(self) -> None:
        focused = self.screen.focused
        for name in TITLES:
            self.query_one(f"#curve-{name}").display = name == self.view
        self.query_one("#page").display = self.view == PAGE or not self._folded
        if focused is not None and focused in self.query("*") and not focused.display:
            shown = "#page" if self.view == PAGE else f"#curve-{self.view}"
            self.query_one(shown).focus()

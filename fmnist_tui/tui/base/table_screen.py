"""The base of screens with a table that is refreshed, filtered and sorted: Runs and Sweep."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from textual.theme import Theme
from textual.timer import Timer

from fmnist_tui.tui import theme as themes
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.filter_input import FilterInput
from fmnist_tui.tui.widgets.line_table import LineTable


class TableScreen(DashboardScreen):
    """Refreshes every REFRESH_SECONDS while it is shown, and at once when it becomes shown.

    Subclasses load everything in `load` (or less in `tick`), show it in `draw`, and have a
    `FilterInput` above the table that the selector TABLE finds."""

    TABLE: ClassVar[str]
    REFRESH_SECONDS: ClassVar[float]
    ORDERS: ClassVar[Collection[str]]

    _refresh_timer: Timer | None = None

    def load(self) -> None:
        """Load everything, now."""
        raise NotImplementedError

    def tick(self) -> None:
        self.load()

    def draw(self) -> None:
        """Show what has been loaded."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.table.focus()
        self._refresh_timer = self.set_interval(self.REFRESH_SECONDS, self.tick)
        self.app.theme_changed_signal.subscribe(self, self._on_theme_changed)
        self.load()

    def on_screen_suspend(self) -> None:
        if self._refresh_timer is not None:
            self._refresh_timer.pause()

    def on_screen_resume(self) -> None:
        if self._refresh_timer is not None:
            self._refresh_timer.resume()
            self.load()

    def _on_theme_changed(self, theme: Theme) -> None:
        self.draw()

    @property
    def table(self) -> LineTable:
        return self.query_one(self.TABLE, LineTable)

    @property
    def words(self) -> str:
        """The words that the table is filtered by."""
        return self.query_one(FilterInput).words

    @property
    def order(self) -> str:
        """The order that the user chose last."""
        kept = self.app_state.settings.get(f"{self.NAME}.order")
        return kept if kept in self.ORDERS else next(iter(self.ORDERS))

    def palette(self) -> TableColours:
        dark = self.app.current_theme.dark
        marks: Mapping[str, str] = themes.LINES_DARK if dark else themes.LINES_LIGHT
        return TableColours(self.app.theme, self.app.theme_variables, marks)

    def action_order(self) -> None:
        names = list(self.ORDERS)
        following = names[(names.index(self.order) + 1) % len(names)]
        self.app_state.settings.save(f"{self.NAME}.order", following)
        self.draw()

    def action_filter(self) -> None:
        self.query_one(FilterInput).open()

    def action_back(self) -> None:
        self.query_one(FilterInput).clear_filter()

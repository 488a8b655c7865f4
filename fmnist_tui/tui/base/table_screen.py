"""A screen over a table of what changes: looked at again and again, narrowed, put in an order."""

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
    """Looks every LOOK_SECONDS while it is in view, and at once when it comes into view.

    Subclasses look in `look` (and less than all of it in `tick`, where that is enough), show
    what was found in `draw`, and have a `FilterInput` over the table that TABLE finds."""

    TABLE: ClassVar[str]
    LOOK_SECONDS: ClassVar[float]
    ORDERS: ClassVar[Collection[str]]

    _ticking: Timer | None = None

    def look(self) -> None:
        """Look at everything, now."""
        raise NotImplementedError

    def tick(self) -> None:
        self.look()

    def draw(self) -> None:
        """Bring everything up to date."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.table.focus()
        self._ticking = self.set_interval(self.LOOK_SECONDS, self.tick)
        self.app.theme_changed_signal.subscribe(self, self._recoloured)
        self.look()

    def on_screen_suspend(self) -> None:
        if self._ticking is not None:
            self._ticking.pause()

    def on_screen_resume(self) -> None:
        if self._ticking is not None:
            self._ticking.resume()
            self.look()

    def _recoloured(self, theme: Theme) -> None:
        self.draw()

    @property
    def table(self) -> LineTable:
        return self.query_one(self.TABLE, LineTable)

    @property
    def words(self) -> str:
        """What the table is narrowed to."""
        return self.query_one(FilterInput).words

    @property
    def order(self) -> str:
        """The order the user has chosen, here or the last time."""
        kept = self.app_state.settings.get(f"{self.NAME}.order")
        return kept if kept in self.ORDERS else next(iter(self.ORDERS))

    def palette(self) -> TableColours:
        dark = self.app.current_theme.dark
        marks: Mapping[str, str] = themes.LINES_DARK if dark else themes.LINES_LIGHT
        return TableColours(self.app.theme, self.app.theme_variables, marks)

    def action_order(self) -> None:
        names = list(self.ORDERS)
        following = names[(names.index(self.order) + 1) % len(names)]
        self.app_state.settings.keep(f"{self.NAME}.order", following)
        self.draw()

    def action_filter(self) -> None:
        self.query_one(FilterInput).open()

    def action_back(self) -> None:
        self.query_one(FilterInput).leave()

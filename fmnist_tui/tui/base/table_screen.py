"""The base of screens with a table that is refreshed, filtered and sorted: Runs and Sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from textual import on
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.tui import theme as themes
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.sequences import next_item
from fmnist_tui.util.text import safe_text

Item = TypeVar("Item")
Result = TypeVar("Result")


class FilterInput(Input):
    """The user's filter for `table`; `Input.Changed` is posted when `words` change."""

    DEFAULT_CSS = """
    FilterInput { display: none; &.-open { display: block; } }
    """

    def __init__(self, table: Widget, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, id="filter")
        self._table = table

    @property
    def words(self) -> str:
        return self.value.strip()

    def open(self) -> None:
        self.add_class("-open")
        self.focus()

    def clear_filter(self) -> None:
        """Remove the filter and return to the table."""
        self.value = ""
        self._close()

    @on(Input.Submitted)
    def _close(self) -> None:
        self._table.focus()
        self.set_class(bool(self.words), "-open")


def filter_items(
    items: Iterable[Item], text: str, search_text: Callable[[Item], str]
) -> list[Item]:
    """The items whose search text has every word of `text`."""
    words = text.lower().split()
    return [item for item in items if all(word in search_text(item) for word in words)]


class TableScreen(DashboardScreen, Generic[Item]):
    """Refreshes every REFRESH_SECONDS while it is shown, and at once when it becomes shown.

    Subclasses load everything in `load` (or less in `tick`), show it in `draw`, which sets
    `_visible`, and have a `FilterInput` for the table that the selector TABLE finds."""

    TABLE: ClassVar[str]
    REFRESH_SECONDS: ClassVar[float]
    # Sort keys of items by the name of the order.
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]]

    _refresh_timer: Timer | None = None
    _is_loading = _is_loaded = False
    # Why the last load has failed.
    _error = ""

    def __init__(self) -> None:
        super().__init__()
        # The items in the table by the keys of their rows.
        self._visible: dict[str, Item] = {}

    def load(self) -> None:
        """Load everything, now."""
        raise NotImplementedError

    def tick(self) -> None:
        self.load()

    def draw(self) -> None:
        """Show what has been loaded."""
        raise NotImplementedError

    @on(LineTable.Resized)
    @on(Input.Changed, "#filter")
    def _redraw(self) -> None:
        self.draw()

    def load_in_thread(
        self, work: Callable[[], Result], show: Callable[[Result | None], None]
    ) -> None:
        """Pass the result of `work` to `show`, or None if it has failed and `_error` says why."""

        def finish(result: Result | None, error: str = "") -> None:
            self._is_loading, self._is_loaded, self._error = False, True, error
            show(result)

        self._is_loading = True
        self.run_in_thread(work, finish, partial(finish, None), group="load")

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
    def _current(self) -> Item | None:
        """The item under the cursor."""
        return self._visible.get(self.table.current or "")

    @property
    def words(self) -> str:
        """The words that the table is filtered by."""
        return self.query_one(FilterInput).words

    @property
    def order(self) -> str:
        """The order that the user chose last."""
        saved = self.app_state.settings.get(f"{self.NAME}.order")
        return saved if saved in self.ORDERS else next(iter(self.ORDERS))

    @property
    def filter_and_order(self) -> str:
        """The filter and the order, for the subtitle of the table."""
        words = f"filter: {safe_text(self.words, 24)}  " if self.words else ""
        return f"{words}order: {self.order}"

    def palette(self) -> TableColours:
        dark = self.app.current_theme.dark
        marks: Mapping[str, str] = themes.LINES_DARK if dark else themes.LINES_LIGHT
        return TableColours(self.app.theme, self.app.theme_variables, marks)

    def action_order(self) -> None:
        self.app_state.settings.save(f"{self.NAME}.order", next_item(self.ORDERS, self.order))
        self.draw()

    def action_filter(self) -> None:
        self.query_one(FilterInput).open()

    def action_back(self) -> None:
        self.query_one(FilterInput).clear_filter()

"""A line of words that a table is filtered by, hidden until it is opened."""

from __future__ import annotations

from textual import on
from textual.widget import Widget
from textual.widgets import Input


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

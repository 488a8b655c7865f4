"""A line of words that a table is narrowed to, out of sight until it is wanted."""

from __future__ import annotations

from textual import on
from textual.widget import Widget
from textual.widgets import Input


class FilterInput(Input):
    """`words` are to be found in what `table` shows; `Input.Changed` says when they change."""

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

    def leave(self) -> None:
        """Show everything again."""
        self.value = ""
        self._keep()

    @on(Input.Submitted)
    def _keep(self) -> None:
        self._table.focus()
        self.set_class(bool(self.words), "-open")

"""The pane shown until there is a dataset: the progress of loading it, and the keys to press."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.screens.data.loading import format_steps


class LoadingPane(VerticalScroll):
    """A heading, the sources tried so far, and a footer."""

    DEFAULT_CSS = """
    LoadingPane { height: 1fr; align: center middle; scrollbar-size-vertical: 1;
        Static { height: auto; width: 100%; max-width: 88; padding: 0 2; }
    }
    """
    KEYS_TITLE = "No dataset loaded"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.fetch", "Fetch", show=False, id="fetching.fetch"),
        Binding("escape", "screen.cancel_load", "Cancel", show=False, id="fetching.cancel"),
    ]
    _static = getters.query_one(Static)
    _heading = _footer = Content("")
    _steps: Sequence[LoadStep] = ()

    def compose(self) -> ComposeResult:
        yield Static()

    def show(self, heading: Content, footer: Content, steps: Sequence[LoadStep] = ()) -> None:
        self._heading, self._footer, self._steps = heading, footer, steps
        self.on_resize()

    def show_steps(self, steps: Sequence[LoadStep]) -> None:
        if steps != self._steps:
            self.show(self._heading, self._footer, steps)
            self.scroll_end(animate=False)

    @property
    def text(self) -> str:
        """The whole text, without styles."""
        return str(self._static.content)

    def on_resize(self) -> None:
        width = max(20, self._static.content_size.width)
        gap = [Content("")]
        parts = [self._heading, *(gap if self._steps else []), *format_steps(self._steps, width)]
        self._static.update(Content("\n").join([*parts, *gap, self._footer]))

"""The panel that the tour shows on every screen: where it is, what there is to see, its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from textual.content import Content
from textual.widgets import Static

_INTERVAL = 0.25


class PanelText(NamedTuple):
    """What the panel shows."""

    place: str
    text: Content
    keys: str


class TourPanel(Static):
    """A few lines above the keys of the screen."""

    DEFAULT_CSS = """
    TourPanel { height: auto; max-height: 5; padding: 0 1; border: round $primary;
        border-title-color: $primary; border-subtitle-color: $foreground; }
    """

    def __init__(self, describe: Callable[[], PanelText]) -> None:
        super().__init__()
        self._describe = describe

    def on_mount(self) -> None:
        self.set_interval(_INTERVAL, self.show)
        self.show()

    def show(self) -> None:
        """Show the stop; an equal text is not laid out again."""
        place, text, keys = self._describe()
        self.border_title, self.border_subtitle = place, keys
        if self.content != text:
            self.update(text)

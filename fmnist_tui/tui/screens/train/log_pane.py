"""What was said and printed, newest last."""

from __future__ import annotations

import time
from collections import deque

from rich.style import Style
from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

from fmnist_tui.util.text import safe_text

LINES = 1000


class LogPane(RichLog, can_focus=True):
    """Lines with the time of day. Whatever they hold is shown as it is."""

    KEYS_TITLE = "Log"
    DEFAULT_CSS = "LogPane { height: 1fr; scrollbar-size-vertical: 1; background: $background; }"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(
            max_lines=LINES, wrap=True, markup=False, min_width=20, id=id, classes=classes
        )
        self._said: deque[Text] = deque(maxlen=LINES)
        self._wide = 0

    def on_resize(self, event: Resize) -> None:
        """Break the lines anew: they may have come while the pane was folded or narrower."""
        super().on_resize(event)
        wide = self.scrollable_content_region.width
        if wide and wide != self._wide:
            self._wide = wide
            self.clear()
            for line in self._said:
                self.write(line)

    def add(self, message: str, level: str = "note", t: float | None = None) -> None:
        """One line; `level` is note, warning, error or printed."""
        stamp = time.strftime("%H:%M:%S", time.localtime(t))
        style = {"warning": "yellow", "error": "bold red", "printed": "dim"}.get(level, "")
        sign = {"warning": "! ", "error": "✗ "}.get(level, "")
        line = Text.assemble(
            (f"{stamp} ", Style(dim=True)), (sign + safe_text(message, 600), style)
        )
        self._said.append(line)
        self.write(line)

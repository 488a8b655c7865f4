"""Toasts: a line each above the bar of keys, which are kept in a list as well."""

from __future__ import annotations

import time
from collections import deque

from rich.cells import cell_len, set_cell_size
from textual.app import App
from textual.driver import Driver
from textual.notifications import SeverityLevel

from fmnist_tui.tui.key_names import key_name, name_keys
from fmnist_tui.tui.state.app_state import Message
from fmnist_tui.util.text import safe_text

# A note needs none; colours alone would not tell them apart.
_SIGNS = {"error": "✗ ", "warning": "▲ "}
_PADDING = 2


class ToastApp(App[int]):
    """An app that shows its messages in this way; `said` gets all of them."""

    def __init__(self, said: deque[Message], driver: type[Driver] | None) -> None:
        super().__init__(driver_class=driver)
        self._said = said
        self._dismissed_at = 0.0

    def notify(
        self,
        message: str,
        severity: SeverityLevel = "information",
        *,
        title: str = "",
        timeout: float | None = None,
        markup: bool = False,
        seen_on: str = "",
    ) -> None:
        """Show a toast, unless the same is shown or the screen `seen_on`, which shows it anyway.

        The message is plain text: it may quote names. `{train.stop}` stands for that key."""
        if not self.is_running or getattr(self.screen, "NAME", None) == seen_on:
            return
        new = Message(safe_text(name_keys(message), 2000), severity, time.time())
        if not any(self._is_repeated(old, new) for old in self._said):
            self._said.append(new)
            line = toast_line(new, self.size.width)
            super().notify(line, severity=severity, timeout=new.seconds, markup=False)

    def _is_repeated(self, old: Message, new: Message) -> bool:
        """Whether a message is still shown, and the new one says the same."""
        is_shown = old.t >= self._dismissed_at and old.t + old.seconds > new.t
        return is_shown and (old.text, old.severity) == (new.text, new.severity)

    def on_notify(self) -> None:
        """A newer note replaces an older one, but no error."""
        for shown in list(self._notifications):
            if shown.severity != "error":
                self._unnotify(shown, refresh=False)

    def dismiss_toasts(self) -> None:
        if self._notifications:
            self._dismissed_at = time.time()
            self.clear_notifications()


def format_message(message: Message) -> str:
    """The text after the sign of an error or of a warning."""
    return _SIGNS.get(message.severity, "") + message.text.replace("\n", " ")


def toast_line(message: Message, width: int) -> str:
    """A message in one line; one that is too long says where all of it can be read."""
    line = format_message(message)
    if cell_len(line) <= width - _PADDING:
        return line
    rest = f"… ({key_name('app.jobs')}: all of it)"
    return set_cell_size(line, max(0, width - _PADDING - len(rest))).rstrip() + rest

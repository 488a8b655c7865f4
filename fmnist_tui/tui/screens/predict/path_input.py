"""A text field for a path, with completion, that accepts dropped files."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from fmnist_tui.tui.screens.predict.inputs import complete_path, is_drop


class PathSuggester(Suggester):
    """Suggests folders and images, which it looks up in a thread."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(complete_path, value)


class PathInput(Input):
    """Tab accepts the suggestion, like the right arrow; without one it moves the focus."""

    KEYS_TITLE = "Path"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete the path", show=False, id="path.complete"),
    ]

    class FilesDropped(Message):
        """Paths were pasted, or files dropped on the terminal."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(
            placeholder=placeholder, suggester=PathSuggester(), select_on_focus=False, id=id
        )

    async def action_complete(self) -> None:
        value = self.value
        path = await asyncio.to_thread(complete_path, value)
        if path is None:
            self.screen.focus_next()
        elif self.value == value:
            self.value = path
            self.cursor_position = len(path)

    def on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        if is_drop(event.text):
            self.post_message(self.FilesDropped(event.text))
        else:
            # A part of a path: its first line, without control characters.
            line = "".join(event.text.strip("\r\n").splitlines()[:1])
            self.insert_text_at_cursor("".join(filter(str.isprintable, line)))

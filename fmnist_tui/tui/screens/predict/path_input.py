"""A line for a path: it says how the path may go on, and takes dropped files as they come."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from fmnist_tui.tui.screens.predict import dropped_paths, inputs


class PathSuggester(Suggester):
    """Completes paths to folders and pictures; looks into folders in a thread."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(inputs.completed, value)


class PathInput(Input):
    """Tab, like the right arrow, takes the suggestion; where there is none it goes on."""

    KEYS_TITLE = "Path"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete the path", show=False, id="path.complete"),
    ]

    class Dropped(Message):
        """Files were dropped on the line, or pasted into it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(
            placeholder=placeholder, suggester=PathSuggester(), select_on_focus=False, id=id
        )

    async def action_complete(self) -> None:
        value = self.value
        found = await asyncio.to_thread(inputs.completed, value)
        if found is None or found == value:
            self.screen.focus_next()
        elif self.value == value:
            self.value = found
            self.cursor_position = len(found)

    def on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        if dropped_paths.is_drop(event.text):
            self.post_message(self.Dropped(event.text))
        else:
            # A piece of a path; what would steer the terminal stays out of the line.
            line = event.text.strip("\r\n").splitlines()[:1]
            self.insert_text_at_cursor("".join(filter(str.isprintable, "".join(line))))

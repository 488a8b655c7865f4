"""A screen that ignores outdated sizes of its terminal."""

from __future__ import annotations

from textual import events
from textual.screen import Screen, ScreenResultType


class ResizableScreen(Screen[ScreenResultType]):
    """Ignores resize events whose size is not the terminal's current size.

    Textual posts a screen's size again after each layout. If events of two sizes are queued,
    each can restore the other without end."""

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Resize) or event.size == self.app.size:
            await super().on_event(event)

"""A screen that comes to rest however often its terminal changes size."""

from __future__ import annotations

from textual import events
from textual.screen import Screen, ScreenResultType


class ResizableScreen(Screen[ScreenResultType]):
    """Takes no notice of a size that the terminal does not have any more.

    After each layout Textual tells a screen its size again. Where two sizes are under way
    with anything between them each brings the other back, and neither ever ends."""

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Resize) or event.size == self.app.size:
            await super().on_event(event)

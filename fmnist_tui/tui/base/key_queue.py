"""Keys typed faster than the dashboard handles them are handled in order, none is lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.tui.base.dialogs import ChoiceDialog
from fmnist_tui.tui.base.screen import DashboardScreen

# They open nothing: while one is held down, its repeats need not wait for each other.
_CURSOR_KEYS = {"up", "down", "left", "right", "pageup", "pagedown", "j", "k"}
# A key that takes longer no longer holds up the next one.
_LIMIT_S = 10.0
# Nobody types so many: a terminal without marked pastes got a file. It would fill the memory.
_MOST_WAITING = 10_000
# A key that is held down repeats after less than this.
_REPEAT_S = 0.7
# Like a terminal's own, it drops the keys before it that nothing has read yet.
_INTERRUPT = "ctrl+c"
# Longer than a thousand paths; a field with more would delay every key.
LONGEST_PASTE = 100_000


class LastKey(NamedTuple):
    """The key that was typed last, for which screen, and when it came or was repeated."""

    key: str
    screen: Screen[Any]
    time: float


class KeyQueue:
    """Hands over typed keys and pastes one at a time.

    Textual sends a key to the widget that has the focus when the key arrives. If the key before
    it is still on its way to open a dialog or another screen, that is the wrong widget, and the
    key is lost."""

    def __init__(self, app: App[Any], on_event: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app, self._on_event = app, on_event
        self._waiting: deque[events.Event] = deque()
        # The key that is being handled, when it was sent, and the screen then.
        self._sent: events.Event | None = None
        self._sent_at = 0.0
        self._screen: Screen[Any] | None = None
        self._last_key: LastKey | None = None
        self._has_timer = False

    async def put(self, event: events.Event) -> None:
        """Send the event now, or after the ones before it.

        One that a widget has passed on goes to the bindings, unless the screen it was typed for
        has just been replaced: the new one has no widgets yet. An app that closes has no screen
        at all."""
        if not self._app.is_running:
            return
        if event.is_forwarded:
            if self._app.screen.is_mounted:
                await self._on_event(event)
            return
        if refusal := self._refusal(event):
            self._app.notify(refusal, severity="warning")
            return
        if isinstance(event, events.Key) and event.key == _INTERRUPT:
            self._waiting.clear()
            await self._send(event)
            return
        self._waiting.append(event)
        if self._is_free:
            await self._send_next()
        else:
            await self._send_repeats()
            self._start_timer()

    def _refusal(self, event: events.Event) -> str:
        """Why the event is not taken; an empty string if it is."""
        if isinstance(event, events.Paste) and len(event.text) > LONGEST_PASTE:
            return f"the paste was not taken: it is longer than {LONGEST_PASTE:,} characters"
        if len(self._waiting) >= _MOST_WAITING:
            return f"keys are dropped: {_MOST_WAITING:,} wait already; ctrl+c drops those too"
        return ""

    @property
    def _is_free(self) -> bool:
        """Whether the next event may be sent: the one before is handled, or takes too long."""
        return self._sent is None or time.monotonic() - self._sent_at > _LIMIT_S

    def _start_timer(self) -> None:
        """Send the next event also if the one that is being handled never ends."""
        if not self._has_timer:
            self._has_timer = True
            self._app.set_timer(_LIMIT_S, self._on_timer)

    async def _on_timer(self) -> None:
        self._has_timer = False
        if self._waiting:
            if self._is_free:
                await self._send_next()
            self._start_timer()

    async def _send_next(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            if self._is_held_down(event):
                continue
            self._sent, self._sent_at = event, time.monotonic()
            self._screen = self._app.screen
            await self._send(self._sent)
            if not self._sent.is_forwarded:
                # A binding with priority has handled it.
                if self._app.screen is not self._screen:
                    self._follow(self._app.screen)
                    return
            elif not _is_text(self._sent, self._app.focused):
                self._follow(self._app.focused or self._screen)
                await self._send_repeats()
                return
        self._sent = None

    def _is_held_down(self, event: events.Event) -> bool:
        """Whether the key has opened the question that it would answer, or closed a dialog.

        It may be held down, and repeat; so another key has to give the answer, and the screen
        below a dialog gets the key once it was let go."""
        if not isinstance(event, events.Key):
            return False
        screen, last = self._app.screen, self._last_key
        if last is not None and last.key == event.key and last.screen is not screen:
            if isinstance(screen, ChoiceDialog) and screen.is_answer(event):
                return True
            has_closed = isinstance(last.screen, ModalScreen) and not last.screen.is_attached
            if has_closed and event.is_printable and event.time - last.time < _REPEAT_S:
                self._last_key = last._replace(time=event.time)
                return True
        self._last_key = LastKey(event.key, screen, event.time)
        return False

    async def _send_repeats(self) -> None:
        while self._waiting and _is_repeat(self._waiting[0], self._sent):
            await self._send(self._waiting.popleft())

    async def _send(self, event: events.Event) -> None:
        screen = self._app.screen
        if isinstance(screen, DashboardScreen):
            screen.focus_visible()
        await self._on_event(event)

    def _follow(self, target: Widget) -> None:
        """Go on once `target` and all nodes above it have handled what they have received.

        What a widget sends when it handles a key (`Input.Submitted`) is one step behind the key;
        the app therefore comes twice."""
        path = deque[DOMNode](node for node in target.ancestors_with_self if node is not self._app)
        path += self._app, self._app

        def step() -> None:
            while path:
                if path.popleft().call_later(step if path else self._go_on):
                    return

        step()

    async def _go_on(self) -> None:
        """Send the next event; a screen that has been opened first composes and gets a focus."""
        if self._app.screen is not self._screen:
            self._screen = self._app.screen
            self._follow(self._screen)
        else:
            await self._send_next()


def _is_text(event: events.Event, target: Widget | None) -> bool:
    """Whether the event is text for an input, which opens nothing either."""
    is_printable = isinstance(event, events.Paste) or (
        isinstance(event, events.Key) and event.is_printable
    )
    return is_printable and isinstance(target, Input)


def _is_repeat(event: events.Event, before: events.Event | None) -> bool:
    return (
        isinstance(event, events.Key)
        and isinstance(before, events.Key)
        and event.key == before.key
        and event.key in _CURSOR_KEYS
    )

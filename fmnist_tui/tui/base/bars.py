"""The line above every screen, with the screens' names and the run on the bench, and the
line below it, with the keys that work here and now. Both answer to the mouse."""

from __future__ import annotations

from typing import cast

from textual import events
from textual.content import Content
from textual.dom import DOMNode
from textual.keys import format_key
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from fmnist_tui.tui.context import DashboardContext


class TopBar(Widget):
    """`fmnist-tui  1 Data  2 Train …   ● two-conv ep 3/5 91.2 % val`."""

    DEFAULT_CSS = """
    TopBar { dock: top; height: 1; background: $panel; color: $foreground; }
    """
    status: reactive[Content] = reactive(Content(""), layout=False)

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    @property
    def _dashboard(self) -> DashboardContext:
        return cast("DashboardContext", self.app)

    def on_mount(self) -> None:
        self.status = self._dashboard.status_line()

    def render(self) -> Content:
        width = self.size.width
        here = getattr(self.screen, "NAME", "")
        tabs = self._dashboard.tabs
        titles = [f" {key} {title} " for _, key, title in tabs]
        name = " fmnist-tui "
        status = self.status
        room = width - sum(map(len, titles)) - 1
        if room < len(name) + min(status.cell_length, 26):
            name = ""
        if room < 0:
            titles = [f" {key}{title[:3] if tab == here else ''} " for tab, key, title in tabs]
            room = width - sum(map(len, titles)) - 1
        parts: list[Content] = [Content.styled(name, "bold $primary")] if name else []
        self._places = []
        place = len(name)
        for (tab, _, _), title in zip(tabs, titles, strict=True):
            style = "bold $background on $primary" if tab == here else "$foreground"
            parts.append(Content.styled(title, style))
            self._places.append((place, place + len(title), tab))
            place += len(title)
        left = width - place - 1
        if left >= 4 and status.cell_length:
            status = status.truncate(left, ellipsis=True)
            parts.append(Content(" " * (left - status.cell_length)))
            parts.append(status)
        return Content("").join(parts)

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._places:
            if start <= event.x < end:
                self._dashboard.show(name)
                return
        if (
            event.x >= (self._places[-1][1] if self._places else 0)
            and self._dashboard.app_state.feed
        ):
            self._dashboard.show("train")


# A key, what it does, the action behind it, and whose that is.
Shown = tuple[str, str, str, DOMNode]


class KeyBar(Widget):
    """The keys of the moment, as many as fit; `?` tells the rest."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str, DOMNode]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        width = self.size.width
        last: list[Shown] = [("?", "keys", "help", self.app)]
        shown: list[Shown] = []
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.description:
                key = binding.key_display or self.app.get_key_display(binding)
                shown.append((key, binding.description, binding.action, active.node))
        # A key that several bindings share (left and right) is told once.
        told: dict[str, Shown] = {}
        for one in shown:
            told.setdefault(one[1], one)
        parts: list[Content] = []
        self._places = []
        place = 0
        ending = sum(len(key) + len(what) + 3 for key, what, *_ in last)
        for number, (key, what, action, node) in enumerate([*told.values(), *last]):
            size = len(key) + len(what) + 3
            if number < len(told) and place + size > width - ending:
                continue
            parts += [
                Content.styled(f" {key}", "bold $accent"),
                Content.styled(f" {what} ", "$foreground"),
            ]
            self._places.append((place, place + size, action, node))
            place += size
        return Content("").join(parts)

    async def on_click(self, event: events.Click) -> None:
        for start, end, action, node in self._places:
            if start <= event.x < end:
                await self.app.run_action(action, default_namespace=node)
                return


def shown_key(key: str) -> str:
    """A key's name as people write it."""
    return format_key(key)

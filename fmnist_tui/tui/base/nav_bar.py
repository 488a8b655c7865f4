"""The bar above every screen: the screens' names and the status line. Clicks switch screens."""

from __future__ import annotations

from typing import cast

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.status_line import StatusLine

# What the titles leave to the status before they are shortened to their keys.
_LEAST_STATUS = 12


class NavBar(Widget):
    """`fmnist-tui  1 Data  2 Train …   ● two-conv ep 3/5 91.2 % val`."""

    DEFAULT_CSS = """
    NavBar { dock: top; height: 1; background: $panel; color: $foreground; }
    """
    status: reactive[StatusLine] = reactive(StatusLine(), layout=False)

    def __init__(self) -> None:
        super().__init__()
        self._spans: list[tuple[int, int, str]] = []

    @property
    def _dashboard(self) -> DashboardContext:
        return cast("DashboardContext", self.app)

    def on_mount(self) -> None:
        self.status = self._dashboard.status_line()

    def render(self) -> Content:
        width = self.size.width
        current = getattr(self.screen, "NAME", "")
        name, titles, room = self._fit_titles(width, current)
        parts: list[Content] = [Content.styled(name, "bold $primary")] if name else []
        self._spans = []
        column = len(name)
        for (tab, _, _), title in zip(self._dashboard.tabs, titles, strict=True):
            style = "bold $background on $primary" if tab == current else "$foreground"
            parts.append(Content.styled(title, style))
            self._spans.append((column, column + len(title), tab))
            column += len(title)
        if room >= 4 and (status := self.status.fit(room)):
            gap = " " * (width - column - 2 - status.cell_length)
            parts += [Content(gap), status, Content(" ")]
        return Content("").join(parts)

    def _fit_titles(self, width: int, current: str) -> tuple[str, list[str], int]:
        """The program's name, the titles of the screens, and the cells for the status: the more
        room it needs, the shorter are the titles."""
        name, tabs = " fmnist-tui ", self._dashboard.tabs
        whole = [f" {key} {title} " for _, key, title in tabs]
        close = [f" {key} {title}{' ' * (tab == current)}" for tab, key, title in tabs]
        short = [f" {key}{title[:3] if tab == current else ''} " for tab, key, title in tabs]
        status = self.status.fit(width).cell_length
        for each, titles in ((name, whole), ("", whole), ("", close)):
            # Two blanks after the status, and two before it at least.
            room = width - len(each) - sum(map(len, titles)) - 4
            if room >= status or (not status and room >= -4):
                return each, titles, room
        if room >= _LEAST_STATUS:
            return "", close, room
        return "", short, width - sum(map(len, short)) - 4

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._spans:
            if start <= event.x < end:
                self._dashboard.show(name)
                return
        if event.x >= (self._spans[-1][1] if self._spans else 0) and self._dashboard.app_state.feed:
            self._dashboard.show("train")

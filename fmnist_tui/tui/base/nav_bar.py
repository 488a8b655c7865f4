"""The bar above every screen: the screens' names and the status line. Clicks switch screens."""

from __future__ import annotations

from typing import cast

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from fmnist_tui.tui.context import DashboardContext


class NavBar(Widget):
    """`fmnist-tui  1 Data  2 Train …   ● two-conv ep 3/5 91.2 % val`."""

    DEFAULT_CSS = """
    NavBar { dock: top; height: 1; background: $panel; color: $foreground; }
    """
    status: reactive[Content] = reactive(Content(""), layout=False)

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
        tabs = self._dashboard.tabs
        titles = [f" {key} {title} " for _, key, title in tabs]
        name = " fmnist-tui "
        status = self.status
        space = width - sum(map(len, titles)) - 1
        if space < len(name) + min(status.cell_length, 26):
            name = ""
        if space < 0:
            titles = [f" {key}{title[:3] if tab == current else ''} " for tab, key, title in tabs]
            space = width - sum(map(len, titles)) - 1
        parts: list[Content] = [Content.styled(name, "bold $primary")] if name else []
        self._spans = []
        column = len(name)
        for (tab, _, _), title in zip(tabs, titles, strict=True):
            style = "bold $background on $primary" if tab == current else "$foreground"
            parts.append(Content.styled(title, style))
            self._spans.append((column, column + len(title), tab))
            column += len(title)
        left = width - column - 1
        if left >= 4 and status.cell_length:
            status = status.truncate(left, ellipsis=True)
            parts.append(Content(" " * (left - status.cell_length)))
            parts.append(status)
        return Content("").join(parts)

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._spans:
            if start <= event.x < end:
                self._dashboard.show(name)
                return
        if event.x >= (self._spans[-1][1] if self._spans else 0) and self._dashboard.app_state.feed:
            self._dashboard.show("train")

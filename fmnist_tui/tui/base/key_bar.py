"""The bar below every screen: the keys that work here and now. Clicks run their actions."""

from __future__ import annotations

from collections.abc import Mapping

from textual import events
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from fmnist_tui.tui.key_names import key_name

# A key, its description, its action, and the node that the action belongs to.
KeyItem = tuple[str, str, str, DOMNode]


class KeyBar(Widget):
    """As many keys as fit; `?` lists all of them."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._spans: list[tuple[int, int, str, DOMNode]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._on_bindings_updated)

    def _on_bindings_updated(self, screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        width = self.size.width
        help_key: KeyItem = (key_name("app.help"), "keys", "help", self.app)
        # Bindings with the same description (left and right) are shown once.
        unique: dict[str, KeyItem] = {}
        labels: Mapping[str, str] = getattr(self.screen, "key_labels", {})
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.description:
                key = binding.key_display or self.app.get_key_display(binding)
                label = labels.get(binding.id or "", binding.description)
                unique.setdefault(label, (key, label, binding.action, active.node))
        parts: list[Content] = []
        self._spans = []
        column = 0
        help_size = len(help_key[0]) + len("keys") + 3
        for index, (key, text, action, node) in enumerate([*unique.values(), help_key]):
            size = len(key) + len(text) + 3
            if index < len(unique) and column + size > width - help_size:
                continue
            parts += [
                Content.styled(f" {key}", "bold $accent"),
                Content.styled(f" {text} ", "$foreground"),
            ]
            self._spans.append((column, column + size, action, node))
            column += size
        return Content("").join(parts)

    async def on_click(self, event: events.Click) -> None:
        for start, end, action, node in self._spans:
            if start <= event.x < end:
                await self.app.run_action(action, default_namespace=node)
                return

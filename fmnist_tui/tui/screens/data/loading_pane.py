"""The pane where no data set is to be seen yet: what to press, or how its getting goes."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.screens.data.loading import SourceLog


class LoadingPane(VerticalScroll):
    """Words, the places tried, and words again; enter asks for the data set."""

    DEFAULT_CSS = """
    LoadingPane { height: 1fr; align: center middle; scrollbar-size-vertical: 1;
        Static { height: auto; width: 100%; max-width: 88; padding: 0 2; }
    }
    """
    KEYS_TITLE = "No data set yet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "fetch", "Fetch it", show=False, id="fetching.fetch"),
        Binding("escape", "cancel", "Cancel", show=False, id="fetching.cancel"),
    ]

    class Wanted(Message):
        """The data set is to be fetched."""

    class Cancelled(Message):
        """It is not to be waited for any longer."""

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._head, self._foot = Content(""), Content("")
        self._account = SourceLog()

    def compose(self) -> ComposeResult:
        yield Static()

    def say(self, head: Content, foot: Content | str = "") -> None:
        """Other words, above and below; the places tried stay."""
        self._head = head
        self._foot = Content(foot) if isinstance(foot, str) else foot
        self._account.stopped()
        self._update()

    def begin(self, head: Content, foot: Content | str = "") -> None:
        """From the beginning: nothing has been tried."""
        self._account = SourceLog()
        self.say(head, foot)

    def add(self, steps: list[LoadStep]) -> None:
        """News of the getting."""
        for step in steps:
            self._account.add(step)
        self._update()
        self.scroll_end(animate=False)

    @property
    def told(self) -> bool:
        """Whether it is shown why several places failed."""
        return self._account.failures > 1

    @property
    def text(self) -> str:
        """All of it, as it is read."""
        return str(self.query_one(Static).content)

    def action_fetch(self) -> None:
        self.post_message(self.Wanted())

    def action_cancel(self) -> None:
        self.post_message(self.Cancelled())

    def on_resize(self, event: events.Resize) -> None:
        self._update()

    def _update(self) -> None:
        width = max(20, self.query_one(Static).content_size.width)
        parts = [self._head, *self._account.lines(width)]
        if self._account.steps:
            parts.insert(1, Content(""))
        if self._foot:
            parts += [Content(""), self._foot]
        self.query_one(Static).update(Content("\n").join(parts))

"""One image with all that was said of it: picture, facts, the probability of every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy.typing as npt
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.tui.widgets.picture import PictureView
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars

# So many lines are left to the picture before more than a few classes are shown.
_PICTURE = 14
_FEWEST, _MOST = 3, 10


class Detail(Widget, can_focus=True):
    """The picture above the words, or beside them where `-beside` is set."""

    KEYS_TITLE = "One picture"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Previous", id="detail.previous"),
        Binding("right,l", "step(1)", "Next", id="detail.next"),
        Binding("pageup", "step(-10)", "Ten back", show=False, id="detail.back"),
        Binding("pagedown", "step(10)", "Ten on", show=False, id="detail.on"),
    ]

    class Stepped(Message):
        """Another image is wanted: so many further on, or back."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    DEFAULT_CSS = """
    Detail { layout: vertical; }
    Detail PictureView { height: 1fr; }
    Detail #said { height: auto; padding: 0 1; }
    Detail #facts { height: auto; }
    Detail.-beside { layout: horizontal; }
    Detail.-beside PictureView { width: 1fr; }
    Detail.-beside #said { width: 38; height: 1fr; padding: 1; }
    """

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._ranked: Sequence[tuple[str, float]] = ()
        self._true: str | None = None
        self._lines = self._widest = 0

    def compose(self) -> ComposeResult:
        yield PictureView()
        with Vertical(id="said"):
            yield Static(id="facts")
            yield ProbabilityBars()

    def show(
        self,
        image: npt.NDArray[Any] | None,
        facts: Sequence[Content],
        ranked: Sequence[tuple[str, float]],
        true: str | None,
    ) -> None:
        """Show an image (None: it is not to be had) and what there is to say of it."""
        self.query_one(PictureView).show(image, "" if image is not None else "no picture")
        told = self.query_one("#facts", Static)
        # Only as many lines as before, none of them broken, leave everything in its place.
        wide = max((fact.cell_length for fact in facts), default=0)
        same = len(facts) == self._lines and max(wide, self._widest) <= told.size.width
        told.update(Content("\n").join(facts), layout=not same)
        self._ranked, self._true, self._lines, self._widest = ranked, true, len(facts), wide
        self._share()

    def action_step(self, by: int) -> None:
        self.post_message(self.Stepped(by))

    def appear(self, renderer: str) -> None:
        """Draw pictures in this way."""
        self.query_one(PictureView).renderer = renderer

    def on_resize(self) -> None:
        self._share()

    def _share(self) -> None:
        room = self.size.height - self._lines
        if not self.has_class("-beside"):
            room = max(_FEWEST, room - _PICTURE)
        self.query_one(ProbabilityBars).show(self._ranked, self._true, max(1, min(_MOST, room - 1)))

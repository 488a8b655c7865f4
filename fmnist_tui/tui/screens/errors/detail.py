"""One image in detail: pixels, facts, and the probability of every class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.tui.widgets.image_view import ImageView
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars

# Lines reserved for the image before more than a few classes are shown.
_IMAGE_HEIGHT = 14
_MIN_BARS, _MAX_BARS = 3, 10


class ImageDetail(Widget, can_focus=True):
    """The image above the text, or beside it where `-beside` is set."""

    KEYS_TITLE = "One image"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Previous", id="detail.previous"),
        Binding("right,l", "step(1)", "Next", id="detail.next"),
        Binding("pageup", "step(-10)", "Ten back", show=False, id="detail.back"),
        Binding("pagedown", "step(10)", "Ten forward", show=False, id="detail.on"),
    ]

    @dataclass
    class Stepped(Message):
        """Asks for another image: `by` images forward, or back."""

        by: int

    DEFAULT_CSS = """
    ImageDetail { layout: vertical; }
    ImageDetail ImageView { height: 1fr; }
    ImageDetail #text { height: auto; padding: 0 1; }
    ImageDetail #facts { height: auto; }
    ImageDetail.-beside { layout: horizontal; }
    ImageDetail.-beside ImageView { width: 1fr; }
    ImageDetail.-beside #text { width: 38; height: 1fr; padding: 1; }
    """

    _probabilities: Sequence[tuple[str, float]] = ()
    _true: str | None = None
    _height = _width = 0

    def compose(self) -> ComposeResult:
        yield ImageView()
        with Vertical(id="text"):
            yield Static(id="facts")
            yield ProbabilityBars()

    def show(
        self,
        image: npt.NDArray[Any] | None,
        facts: Sequence[Content],
        probabilities: Sequence[tuple[str, float]],
        true: str | None,
    ) -> None:
        """Show an image (None where it is missing) with its facts and class probabilities."""
        self.query_one(ImageView).show(image, "" if image is not None else "no image")
        text = self.query_one("#facts", Static)
        # No layout is needed if the text has as many lines as before and none of them wraps.
        width = max((fact.cell_length for fact in facts), default=0)
        same = len(facts) == self._height and max(width, self._width) <= text.size.width
        text.update(Content("\n").join(facts), layout=not same)
        self._probabilities, self._true = probabilities, true
        self._height, self._width = len(facts), width
        self._update_bars()

    def action_step(self, by: int) -> None:
        self.post_message(self.Stepped(by))

    def set_renderer(self, renderer: str) -> None:
        self.query_one(ImageView).renderer = renderer

    def on_resize(self) -> None:
        self._update_bars()

    def _update_bars(self) -> None:
        height = self.size.height - self._height
        if not self.has_class("-beside"):
            height = max(_MIN_BARS, height - _IMAGE_HEIGHT)
        count = max(1, min(_MAX_BARS, height - 1))
        self.query_one(ProbabilityBars).show(self._probabilities, self._true, count)

"""The result for one image: what the network sees, its answer, and how the image got there."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.predict.results import UNSURE_NOTE, Result, describe
from fmnist_tui.tui.screens.predict.stages import SMALLEST_HEIGHT, Stages
from fmnist_tui.tui.widgets.image_view import ImageView
from fmnist_tui.tui.widgets.incremental import update_text
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from fmnist_tui.util.text import safe_text

# The widths of the network's image in cells; it takes half as many lines.
_WIDTHS = (56, 28, 20, 14)
# The narrowest column of probabilities; the lines of a caption.
_WORDS, _CAPTION = 24, 1
# A larger image must leave these lines to the stages.
_STAGES = 14


class ResultPane(VerticalScroll, can_focus=True):
    """Shows a result, or a message where there is none."""

    DEFAULT_CSS = """
    ResultPane { scrollbar-size-vertical: 1; padding: 0 1;
        & Static { width: 1fr; height: auto; }
        & #answer { height: auto; }
        & #words { width: 1fr; height: auto; }
        & ImageView { margin-right: 2; }
        & #summary { text-style: bold; }
        & #file, & #notes { color: $foreground 70%; }
        & Stages { margin-top: 1; }
        & .empty { display: none; height: 1fr; }
        &.-empty Stages { display: none; }
        &.-empty .empty { display: block; }
    }
    """
    KEYS_TITLE = "Result"
    BINDINGS = [
        Binding("j", "scroll_down", "Down", show=False, id="steps.down"),
        Binding("k", "scroll_up", "Up", show=False, id="steps.up"),
    ]

    _result: Result | None = None
    # What was shown last: it is drawn again only if it has changed.
    _shown: object = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="answer"):
            yield ImageView(id="input-image")
            with Container(id="words"):
                yield Static(id="file", markup=False)
                yield Static(id="summary", markup=False)
                yield ProbabilityBars()
                yield Static(id="notes", markup=False)
        yield Stages()
        yield Static(classes="empty", markup=False)

    def show(self, result: Result, name: str, renderer: str) -> None:
        """Show the result for the image of this name."""
        if self._shown == (result, name, renderer):
            return
        self._shown = (result, name, renderer)
        image, self._result = result.input, result
        self.set_class(image is None, "-empty")
        notes = (UNSURE_NOTE, *result.notes) if result.is_unsure else result.notes
        self._fill(result.error or describe(result.ranked), bool(result.error), name, notes)
        self.query_one(ProbabilityBars).show(result.ranked)
        view = self.query_one(ImageView)
        view.renderer = renderer
        if image is not None:
            view.show(image, f"network input, {image.shape[1]}×{image.shape[0]}")
        self._show_empty("no steps: the image could not be read")
        self.query_one(Stages).show(result.stages, renderer)
        self._fit()

    def show_message(self, summary: str, message: str, *, is_error: bool = False) -> None:
        """Show a summary and a message in place of a result."""
        if self._shown == (summary, message, is_error):
            return
        self._shown = (summary, message, is_error)
        self._result = None
        self.set_class(True, "-empty")
        self._fill(summary, is_error)
        self.query_one(ProbabilityBars).show(())
        self._show_empty(message)
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Make the network's image as large as the probabilities and the stages allow."""
        view = self.query_one(ImageView)
        if self._result is None or self._result.input is None:
            view.display = False
            return
        width, height = self.size
        longest = max(self._result.input.shape[:2])

        def fits(across: int) -> bool:
            lines = across // 2 + _CAPTION + (_STAGES if across > _WIDTHS[1] else 0)
            return across + 2 + _WORDS <= width and lines <= height and across <= 2 * longest

        across = next(filter(fits, _WIDTHS), 0)
        view.display = across > 0
        view.styles.width, view.styles.height = across, across // 2 + _CAPTION
        answer = max(across // 2 + _CAPTION, len(self._result.ranked) + 2)
        self.query_one(Stages).fit(max(SMALLEST_HEIGHT, height - answer - 1))

    def _show_empty(self, message: str) -> None:
        update_text(self.query_one(".empty", Static), Content(message))

    def _fill(
        self, summary: str, is_error: bool, name: str = "", notes: tuple[str, ...] = ()
    ) -> None:
        style = "$error" if is_error else ""
        if self._result is not None and self._result.is_unsure:
            style = "$warning"
        text = safe_text(name_keys(summary))
        update_text(self.query_one("#summary", Static), Content.styled(text, style))
        for part, lines in (("#file", (name,)), ("#notes", notes)):
            text = "\n".join(map(safe_text, lines))
            label = self.query_one(part, Static)
            update_text(label, Content(text))
            label.display = bool(text)

"""The answer about one picture: in words, as bars, with what was odd about the picture."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.tui.screens.predict.results import Result, in_words
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from fmnist_tui.util.text import safe_text

TOP = 5


class ResultPane(VerticalScroll, can_focus=True):
    """`show` an answer, or `say` why there is none."""

    DEFAULT_CSS = """
    ResultPane { scrollbar-size-vertical: 1; padding: 0 1;
        & Static { width: 1fr; height: auto; }
        & #words { text-style: bold; }
        & #file, & #notes { color: $foreground 70%; }
    }
    """
    KEYS_TITLE = "Answer"

    def compose(self) -> ComposeResult:
        yield Static(id="file", markup=False)
        yield Static(id="words", markup=False)
        yield ProbabilityBars()
        yield Static(id="notes", markup=False)

    def show(self, answer: Result, name: str) -> None:
        """Show what is said of the picture of that name."""
        words = (
            Content.styled(safe_text(answer.error), "$error")
            if answer.error
            else Content(in_words(answer.ranked))
        )
        self._fill(name, words, "\n".join(map(safe_text, answer.notes)))
        self.query_one(ProbabilityBars).show(answer.ranked, limit=TOP)

    def say(self, message: str, *, wrong: bool = False) -> None:
        """A line in place of an answer."""
        self._fill("", Content.styled(safe_text(message), "$error" if wrong else ""), "")
        self.query_one(ProbabilityBars).show(())

    def _fill(self, name: str, words: Content, notes: str) -> None:
        for part, text in (("file", Content(safe_text(name))), ("notes", Content(notes))):
            shown = self.query_one(f"#{part}", Static)
            shown.update(text)
            shown.display = bool(text)
        self.query_one("#words", Static).update(words)

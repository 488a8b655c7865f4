"""The result for one image: its class, the probabilities as bars, notes about the image."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.tui.screens.predict.results import Result, describe
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from fmnist_tui.util.text import safe_text

_BARS = 5


class ResultPane(VerticalScroll, can_focus=True):
    """Shows a result, or a message where there is none."""

    DEFAULT_CSS = """
    ResultPane { scrollbar-size-vertical: 1; padding: 0 1;
        & Static { width: 1fr; height: auto; }
        & #summary { text-style: bold; }
        & #file, & #notes { color: $foreground 70%; }
    }
    """
    KEYS_TITLE = "Result"

    def compose(self) -> ComposeResult:
        yield Static(id="file", markup=False)
        yield Static(id="summary", markup=False)
        yield ProbabilityBars()
        yield Static(id="notes", markup=False)

    def show(self, result: Result, name: str) -> None:
        """Show the result for the image of this name."""
        self._fill(result.error or describe(result.ranked), bool(result.error), name, result.notes)
        self.query_one(ProbabilityBars).show(result.ranked, limit=_BARS)

    def show_message(self, message: str, *, is_error: bool = False) -> None:
        """Show a message in place of a result."""
        self._fill(message, is_error)
        self.query_one(ProbabilityBars).show(())

    def _fill(
        self, summary: str, is_error: bool, name: str = "", notes: tuple[str, ...] = ()
    ) -> None:
        style = "$error" if is_error else ""
        self.query_one("#summary", Static).update(Content.styled(safe_text(summary), style))
        for part, lines in (("#file", (name,)), ("#notes", notes)):
            text = "\n".join(map(safe_text, lines))
            label = self.query_one(part, Static)
            label.update(Content(text))
            label.display = bool(text)

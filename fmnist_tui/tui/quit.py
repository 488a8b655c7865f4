"""Leaving the dashboard: what is asked first of a run and of errands that are under way."""

from __future__ import annotations

from functools import partial

from fmnist_tui.protocol.events import LRFIND
from fmnist_tui.tui.base.dialogs import Choice, QuitDialog
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.state.app_state import QuitMode
from fmnist_tui.util.text import safe_text

# The exit status of what Ctrl-C ends.
_INTERRUPTED = 130


class QuitFlow:
    """Asks what is open, and has the dashboard closed once all is answered."""

    def __init__(self, context: DashboardContext) -> None:
        self._context = context

    def ask(self, code: int) -> None:
        """Leave with this exit status; stop, detach or stay where a run is under way."""
        if isinstance(self._context.screen, QuitDialog):
            return
        if not self._context.app_state.training or self._searches:
            self._past_errands(QuitMode.STOP, code)
            return
        question = QuitDialog(
            "A run is under way",
            "What is to become of it?",
            [
                Choice("s", "stop", "save a checkpoint and end the run"),
                Choice("d", "detach", "it goes on without a terminal"),
                Choice("x", "stay", "do not leave"),
            ],
        )
        self._context.push_screen(question, partial(self._answered, code))

    def interrupt(self) -> None:
        """Ctrl-C asks like any leaving; said again to the question, it stops the run."""
        if isinstance(self._context.screen, QuitDialog) and self._context.app_state.training:
            self._context.quit_now(QuitMode.STOP, _INTERRUPTED)
        else:
            self.ask(_INTERRUPTED)

    def detach(self) -> None:
        """Leave the run of this process to go on without a terminal."""
        feed = self._context.app_state.feed
        if self._searches:
            self._context.notify(
                "a search for a learning rate is not detached; q gives it up", "warning"
            )
        elif self._context.app_state.training:
            self._past_errands(QuitMode.DETACH, 0)
        elif feed is not None and feed.live:
            self._context.notify(
                "this run lives in a process of its own already; q leaves it going"
            )
        else:
            self._context.notify("no run is going on", "warning")

    def _answered(self, code: int, choice: str | None) -> None:
        if choice == "s":
            self._past_errands(QuitMode.STOP, code)
        elif choice == "d":
            self._past_errands(QuitMode.DETACH, code)

    def _past_errands(self, how: QuitMode, code: int) -> None:
        """Leave, but not without a word about what other processes still do for us."""
        running = self._context.app_state.running_jobs
        if not running:
            self._context.quit_now(how, code)
            return

        def answered(choice: str | None) -> None:
            if choice in ("s", "g"):
                self._context.app_state.jobs_to_end = running if choice == "s" else []
                self._context.quit_now(how, code)

        names = ", ".join(one.title for one in running)
        question = QuitDialog(
            "Errands are under way",
            safe_text(f"What is to become of them: {names}?", 200),
            [
                Choice("s", "stop", "have them give up"),
                Choice("g", "go on", "they finish by themselves"),
                Choice("x", "stay", "do not leave"),
            ],
        )
        self._context.push_screen(question, answered)

    @property
    def _searches(self) -> bool:
        """Whether the run of this process is a search, which has nothing to save."""
        app_state = self._context.app_state
        return app_state.training and app_state.feed is not None and app_state.feed.kind == LRFIND

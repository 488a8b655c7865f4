"""Quitting the dashboard: what happens to a run and to background jobs is asked first."""

from __future__ import annotations

from fmnist_tui.protocol.events import LRFIND
from fmnist_tui.tui.base.dialogs import Choice, QuitDialog
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.state.app_state import QuitMode
from fmnist_tui.util.text import safe_text

# The exit status after Ctrl-C.
_INTERRUPTED = 130
_MODES = {"s": QuitMode.STOP, "d": QuitMode.DETACH}


class QuitFlow:
    """Asks about a run and jobs that are in progress, then closes the dashboard."""

    def __init__(self, context: DashboardContext) -> None:
        self._context, self._app_state = context, context.app_state
        # What Ctrl-C does with a run while a QuitDialog is open.
        self._mode = QuitMode.STOP

    async def quit(self, code: int) -> None:
        """Quit with this exit status."""
        if isinstance(self._context.screen, QuitDialog):
            return
        mode: QuitMode | None = QuitMode.STOP
        self._mode = QuitMode.STOP
        if self._app_state.is_training and not self._is_searching:
            dialog = QuitDialog(
                "Training is running: stop, detach or stay",
                "What should happen to it?",
                [
                    Choice("s", "stop", "save a checkpoint and end the run"),
                    Choice("d", "detach", "it continues without a terminal"),
                    Choice("x", "stay", "do not quit"),
                ],
            )
            mode = _MODES.get(await self._context.ask(dialog) or "")
        elif self._is_in_background:
            dialog = QuitDialog(
                "Training runs in the background: go on, stop or stay",
                "It was started in processes of its own, which do not end with the dashboard.",
                [
                    Choice("g", "go on", "it continues without a terminal"),
                    Choice("s", "stop", "save a checkpoint and end the run"),
                    Choice("x", "stay", "do not quit"),
                ],
            )
            answer = await self._context.ask(dialog)
            if answer not in ("g", "s"):
                return
            self._app_state.stops_background = answer == "s"
        if mode is not None:
            await self._quit_after_jobs(mode, code)

    async def interrupt(self) -> None:
        """Quit on Ctrl-C; pressed again while a dialog asks, end the jobs, and stop the run unless
        it was detached in the dialog before."""
        if isinstance(self._context.screen, QuitDialog):
            self._app_state.jobs_to_end = self._app_state.running_jobs
            self._context.quit_now(self._mode, _INTERRUPTED)
        else:
            await self.quit(_INTERRUPTED)

    def begin_tour(self) -> None:
        """Close for the tour, which has runs of its own; the dashboard opens again after it."""
        state = self._app_state
        if state.is_in_browser:
            self._context.notify("the tour needs a terminal: fmnist-tui tour")
        elif state.is_training or state.running_jobs:
            self._context.notify("a run or a job is in progress: the tour opens when it has ended")
        else:
            state.wants_tour = True
            self._context.quit_now(QuitMode.STOP, 0)

    async def detach(self) -> None:
        """Quit; this process's run continues without a terminal."""
        feed = self._app_state.feed
        if self._is_searching:
            self._context.notify(
                "a learning-rate search cannot be detached; {app.leave} ends it",
                "warning",
            )
        elif self._app_state.is_training:
            await self._quit_after_jobs(QuitMode.DETACH, 0)
        elif feed is not None and feed.is_live:
            self._context.notify(
                "this run is in another process: it continues when you quit ({app.leave})"
            )
        else:
            self._context.notify("no run is in progress", "warning")

    async def _quit_after_jobs(self, mode: QuitMode, code: int) -> None:
        """Quit, after asking about jobs that are running."""
        self._mode = mode
        running = self._app_state.running_jobs
        if running:
            names = ", ".join(job.title for job in running)
            dialog = QuitDialog(
                "Jobs are running",
                safe_text(f"What should happen to them: {names}?", 200),
                [
                    Choice("e", "end", "stop them now"),
                    Choice("g", "go on", "they finish without the dashboard"),
                    Choice("x", "stay", "do not quit"),
                ],
            )
            answer = await self._context.ask(dialog)
            if answer not in ("e", "g"):
                return
            self._app_state.jobs_to_end = running if answer == "e" else []
        self._context.quit_now(mode, code)

    @property
    def _is_in_background(self) -> bool:
        """Whether the followed run is in processes that this dashboard has started for it."""
        feed = self._app_state.feed
        return feed is not None and feed.background is not None and feed.is_live

    @property
    def _is_searching(self) -> bool:
        """Whether this process's run is a learning-rate search, which has nothing to save."""
        feed = self._app_state.feed
        return self._app_state.is_training and feed is not None and feed.kind == LRFIND

"""The newest finished run: the current one while none is selected or followed."""

from __future__ import annotations

import asyncio

from textual.worker import Worker

from fmnist_tui.protocol.validation import format_validation
from fmnist_tui.runs.listing import RunSummary, find_newest_finished
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.status_line import ACCURACY, NAME, STATUS, StatusLine, job_status
from fmnist_tui.tui.widgets.run_status import status_mark
from fmnist_tui.util.errors import UserError


class NewestRun:
    """Finds it in a thread and tells the screens; its summary is in the app state."""

    def __init__(self, context: DashboardContext) -> None:
        self._context, self._app_state = context, context.app_state
        self._search: Worker[None] | None = None

    def find(self) -> None:
        """Look for it again, unless that is in progress or another run is current."""
        if self._app_state.chosen_run is not None or (self._search and self._search.is_running):
            return
        self._search = self._context.run_worker(self._find, group="newest run")

    async def _find(self) -> None:
        before = self._app_state.current_run
        try:
            found = await asyncio.to_thread(find_newest_finished, self._app_state.runs_dir)
        except UserError as error:
            self._context.notify(str(error), "error")
            return
        self._app_state.newest_run = found
        self._context.refresh_status()
        if self._app_state.current_run != before:
            self._context.selection_changed.publish(self._app_state.current_run)


def summary_status(run: RunSummary, jobs: str = "") -> StatusLine:
    """`✓ two-conv 7f3a  finished  91.2 % val`, as of a followed run."""
    words = [(run_name(run), NAME), (run.state, STATUS)]
    if run.best_val_accuracy is not None:
        val = format_validation(run.best_val_accuracy, run.val_note, 1)
        words.append((f"{val} val", ACCURACY))
    return StatusLine(status_mark(run.state), tuple(words), job_status(jobs) if jobs else None)

"""The list of background jobs, above any screen: progress, output and result of each."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from fmnist_tui.tui.base.dialogs import ClosedOnce, TextDialog
from fmnist_tui.tui.jobs.job_manager import JobManager
from fmnist_tui.tui.state import job
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.job import BackgroundJob
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.text import safe_text

REFRESH_SECONDS = 0.5
BAR = 12
SIGNS = {job.RUNNING: "●", job.DONE: "✓", job.FAILED: "✗", job.CANCELLED: "○"}
EMPTY = "No jobs. Exports, ensembles, sweeps, recipe checks and reports are listed here."


class JobsScreen(ModalScreen[None], ClosedOnce[None]):
    """All jobs of this dashboard; those that have ended stay until they are cleared."""

    DEFAULT_CSS = """
    JobsScreen { align: center middle; }
    JobsScreen > Vertical { width: 100; max-width: 96%; height: 14; max-height: 90%;
        border: round $accent; background: $surface; }
    JobsScreen LineTable { background: $surface; }
    JobsScreen Static { height: 1; color: $foreground-muted; padding: 0 1; }
    """
    BINDINGS = [
        Binding("escape,E,q", "close", "Close", id="jobs.close"),
        Binding("x", "cancel", "Cancel the job", id="jobs.cancel"),
        Binding("c", "clear", "Clear ended jobs", id="jobs.clear"),
    ]

    def __init__(self, app_state: AppState, manager: JobManager) -> None:
        super().__init__()
        self._app_state, self._manager = app_state, manager

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "jobs"
            yield LineTable()
            yield Static(Content("enter: output   x: cancel   c: clear ended   escape: close"))

    def on_mount(self) -> None:
        self.query_one(LineTable).focus()
        self._show()
        self.set_interval(REFRESH_SECONDS, self._show)

    @on(LineTable.Resized)
    def _show(self) -> None:
        table = self.query_one(LineTable)
        width = max(40, table.room)
        head = Text(f"{'':2}{'job':<24} {'':{BAR}}        left  now"[:width])
        rows = [(str(id(one)), format_job(one, width)) for one in self._app_state.jobs]
        table.show(head, rows, EMPTY)

    @property
    def _selected(self) -> BackgroundJob | None:
        key = self.query_one(LineTable).current
        return next((one for one in self._app_state.jobs if str(id(one)) == key), None)

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        one = self._selected
        if one is not None:
            output = "\n".join(one.lines) or "no output yet"
            command = "fmnist-tui " + " ".join(safe_text(word) for word in one.words)
            self.app.push_screen(TextDialog(one.title, Content(f"{command}\n\n{output}")))

    def action_cancel(self) -> None:
        one = self._selected
        if one is not None:
            one.cancel()
            self._show()

    def action_clear(self) -> None:
        self._manager.clear_ended()
        self._show()

    def action_close(self) -> None:
        self.dismiss(None)


def format_job(one: BackgroundJob, width: int) -> Text:
    """A job as a table row: status, title, progress bar, per cent, time left, current step."""
    share = 1.0 if one.status == job.DONE else one.share
    full = round(BAR * (share or 0.0))
    per_cent = f"{share:>4.0%}" if share is not None else "    "
    time = one.left if one.status == job.RUNNING else one.seconds
    clock = format_duration(time) if time is not None else ""
    title = safe_text(one.title, 24)
    text = Text(f"{SIGNS[one.status]} {title:<24} ")
    text.append("━" * full, "cyan")
    text.append("─" * (BAR - full), "dim")
    what = one.error if one.status == job.FAILED else one.what
    text.append(f" {per_cent} {clock:>7}  {safe_text(what, 200)}")
    text.truncate(width, overflow="ellipsis")
    return text

"""Background jobs with their progress and output, and past messages, above any screen."""

from __future__ import annotations

import time

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from fmnist_tui.tui.base.dialogs import ClosedOnce, TextDialog
from fmnist_tui.tui.base.toasts import format_message
from fmnist_tui.tui.jobs.job_manager import JobManager
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.state.app_state import AppState, Message
from fmnist_tui.tui.state.job import CANCELLED, DONE, FAILED, RUNNING, BackgroundJob
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.text import safe_text

REFRESH_SECONDS = 0.5
BAR = 12
SIGNS = {RUNNING: "●", DONE: "✓", FAILED: "✗", CANCELLED: "○"}
_KEYS = (
    "{table.open}: output   {jobs.cancel}: cancel   {jobs.clear}: clear ended   {jobs.close}: close"
)
EMPTY = (
    "No jobs and no messages. Exports, ensembles, sweeps, recipe checks and reports are listed "
    "here, and what was said in the line above the keys."
)


class JobsScreen(ModalScreen[None], ClosedOnce[None]):
    """All jobs of this dashboard and what toasts have said; ended jobs stay until cleared."""

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
        # Not looked for: the screen may be closed before it is mounted, and while it is removed
        # its timer runs.
        self._table = LineTable()

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Background jobs and messages"
            yield self._table
            yield Static(Content(name_keys(_KEYS)))

    def on_mount(self) -> None:
        self._table.focus()
        self._show()
        self.set_interval(REFRESH_SECONDS, self._show)

    @on(LineTable.Resized)
    def _show(self) -> None:
        table = self._table
        width = max(40, table.line_width)
        head = Text(f"{'':2}{'job':<24} {'':{BAR}}        time  now"[:width])
        rows = [(str(id(job)), format_job(job, width)) for job in self._app_state.jobs]
        said = reversed(self._app_state.messages)
        rows += [(str(id(message)), _format_said(message, width)) for message in said]
        table.set_rows(head, rows, EMPTY)

    @property
    def _selected(self) -> BackgroundJob | None:
        key = self._table.current
        return next((job for job in self._app_state.jobs if str(id(job)) == key), None)

    @on(LineTable.RowSelected)
    def _open(self) -> None:
        job = self._selected
        if job is not None:
            output = "\n".join(job.lines) or "no output yet"
            command = "fmnist-tui " + " ".join(safe_text(word) for word in job.words)
            self.app.push_screen(TextDialog(job.title, Content(f"{command}\n\n{output}")))
        for message in self._app_state.messages:
            if str(id(message)) == self._table.current:
                self.app.push_screen(TextDialog(_clock(message), Content(message.text)))

    def action_cancel(self) -> None:
        job = self._selected
        if job is not None:
            job.cancel()
            self._show()

    def action_clear(self) -> None:
        self._manager.clear_ended()
        self._show()

    def action_close(self) -> None:
        self.dismiss(None)


def _clock(message: Message) -> str:
    return time.strftime("%H:%M:%S", time.localtime(message.t))


def _format_said(message: Message, width: int) -> Text:
    text = Text(f"{_clock(message)}  {format_message(message)}")
    text.truncate(width, overflow="ellipsis")
    return text


def format_job(job: BackgroundJob, width: int) -> Text:
    """A job as a table row: status, title, progress bar, per cent, time (left or taken), step."""
    share = 1.0 if job.status == DONE else job.share
    full = round(BAR * (share or 0.0))
    per_cent = f"{share:>4.0%}" if share is not None else "    "
    time = job.seconds_left if job.status == RUNNING else job.seconds
    clock = format_duration(time) if time is not None else ""
    title = safe_text(job.title, 24)
    text = Text(f"{SIGNS[job.status]} {title:<24} ")
    text.append("━" * full, "cyan")
    text.append("─" * (BAR - full), "dim")
    what = job.error if job.status == FAILED else job.what
    text.append(f" {per_cent} {clock:>7}  {safe_text(what, 200)}")
    text.truncate(width, overflow="ellipsis")
    return text

"""The dashboard as its parts see it: what a screen, a dialog or a job may ask of the app.

`Dashboard` in `app.py` implements this. Nothing below `app.py` imports the app itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.signal import Signal
from textual.widget import Widget
from textual.worker import Worker

from fmnist_tui.config.plans import Plan
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.state.app_state import AppState, ClassPair, QuitMode
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.status_line import StatusLine

Result = TypeVar("Result")


class Tab(NamedTuple):
    """A screen as the navigation bar and the palette list it."""

    name: str
    key: str
    title: str


class DashboardContext(Protocol):
    """The state that screens share, and the actions that reach beyond one screen."""

    app_state: AppState
    # The followed run has new events; another run is followed; another run is selected, or
    # its predictions have changed.
    run_updated: Signal[RunFeed]
    run_replaced: Signal[RunFeed | None]
    selection_changed: Signal[RunFolder | None]

    @property
    def tabs(self) -> Sequence[Tab]:
        """The screens, in the order of their keys."""
        ...

    def docked_panels(self) -> Iterable[Widget]:
        """Widgets that every screen shows between its panes and its keys."""
        ...

    @property
    def screen(self) -> Screen[Any]:
        """The screen or dialog that has the keyboard."""
        ...

    @property
    def selected_run(self) -> RunFolder | None:
        """The run that Evaluate, Errors and Predict are about."""
        ...

    # -- the followed run ---------------------------------------------------------

    def show_run(self, feed: RunFeed | None) -> None: ...
    def follow_run(self, folder: RunFolder) -> None: ...
    def send_command(self, command: Command) -> bool: ...
    def start_run(self, config: RunConfig, heading: str = "") -> bool: ...
    def start_lr_search(self, config: RunConfig) -> bool: ...
    def start_plan(self, plan: Plan) -> bool: ...
    def resume_run(self, folder: RunFolder, config: RunConfig, state: RunState) -> bool: ...
    def fork_run(self, folder: RunFolder, checkpoint: str, config: RunConfig) -> bool: ...

    # -- other runs, other screens ------------------------------------------------

    def select_run(self, folder: RunFolder | None) -> None: ...
    def open_run(self, folder: RunFolder) -> None: ...
    def open_listed_run(self, run: RunSummary) -> None: ...
    def open_errors(self, pair: ClassPair) -> None: ...
    def edit_config(self, values: Mapping[str, Any], recipe: Recipe | None = None) -> None: ...
    def edit_recipe(self, name: str) -> None: ...
    def show(self, name: str) -> None: ...

    # -- jobs, toasts, dialogs, the end -------------------------------------------

    def start_job(
        self,
        title: str,
        words: list[str],
        on_done: Callable[[Any], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
    ) -> None: ...

    def notify(
        self,
        message: str,
        severity: SeverityLevel = "information",
        *,
        title: str = "",
        timeout: float | None = None,
        markup: bool = False,
        seen_on: str = "",
    ) -> None: ...

    def copy_to_clipboard(self, text: str) -> None: ...
    def attract(self, text: str) -> None: ...
    def status_line(self) -> StatusLine: ...
    def refresh_status(self) -> None: ...
    def start_flow(self, flow: Coroutine[Any, Any, None]) -> None: ...
    async def ask(self, dialog: Screen[Result]) -> Result | None: ...
    def run_worker(
        self,
        work: Awaitable[Result] | Callable[[], Coroutine[None, None, Result]],
        *,
        group: str = "",
    ) -> Worker[Result]: ...
    def action_tour(self) -> None: ...
    def quit_now(self, mode: QuitMode, code: int) -> None: ...

"""The base of all screens: bars above and below, panes between, work in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from typing import ClassVar, TypeVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import ask
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.base.nav_bar import NavBar
from fmnist_tui.tui.base.resizing import ResizableScreen
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util.errors import UserError, format_error, format_unexpected_error
from fmnist_tui.util.latest_work import LatestWork
from fmnist_tui.util.text import safe_text

Result = TypeVar("Result")

# On a smaller terminal a screen shows only that it is too small.
MIN_COLUMNS, MIN_ROWS = 50, 14
# On a narrower terminal panes that are side by side elsewhere become views.
FOLD_BELOW = 100


class TooSmall(Static):
    """Shown alone if the terminal is too small for anything else."""

    def on_resize(self) -> None:
        width, height = self.screen.size
        self.update(f"{width}×{height} is too small: {MIN_COLUMNS}×{MIN_ROWS} is needed")


def is_visible(widget: Widget) -> bool:
    """Whether a widget is on its screen, and nothing around it is hidden."""
    return widget.is_attached and all(node.display for node in widget.ancestors_with_self)


class DashboardScreen(ResizableScreen[None]):
    """A screen that declares its own name, key and title.

    Subclasses give NAME, KEY and TITLE, and yield their panes from `panes`. Work
    that takes longer than a moment goes through `run_in_thread` or `await_session`.
    """

    NAME: ClassVar[str]
    KEY: ClassVar[str]
    TITLE: ClassVar[str]
    HELP: ClassVar[str] = ""

    AUTO_FOCUS = None
    ALLOW_IN_MAXIMIZED_VIEW = "NavBar, KeyBar"
    HORIZONTAL_BREAKPOINTS = [
        (0, "-small"),
        (MIN_COLUMNS, "-narrow"),
        (FOLD_BELOW, "-medium"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (MIN_ROWS, "-low"), (30, "-tall")]

    _last_focused: Widget | None = None

    def __init__(self, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        # What keys do now, by the ids of their bindings, where that depends on what is shown.
        self.key_labels: dict[str, str] = {}
        # The threads of `run_in_thread`, by group.
        self._threads: dict[str, LatestWork] = {}

    @property
    def context(self) -> DashboardContext:
        return cast("DashboardContext", self.app)

    @property
    def app_state(self) -> AppState:
        return self.context.app_state

    def compose(self) -> ComposeResult:
        yield NavBar()
        with Container(id="panes"):
            yield from self.panes()
        yield from self.context.docked_panels()
        yield TooSmall(id="too-small")
        yield KeyBar()

    def panes(self) -> Iterable[Widget]:
        """The widgets between the bars."""
        raise NotImplementedError

    def set_focus(
        self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False
    ) -> None:
        super().set_focus(widget, scroll_visible, from_app_focus)
        self._last_focused = self.focused or self._last_focused

    def focus_visible(self) -> None:
        """Make sure that keys go to a visible widget.

        Textual may focus a widget that has been hidden in the meantime, and does not give the
        focus back to one that a small terminal hid for a moment."""
        if self.focused is not None and is_visible(self.focused):
            return
        if self._last_focused is not None and is_visible(self._last_focused):
            self.set_focus(self._last_focused)
        elif self._last_focused is not None:
            self.set_focus(None)
            self.focus_next()

    @on(events.Resize)
    def _refocus(self) -> None:
        self.call_after_refresh(self.focus_visible)

    @on(events.ScreenResume)
    def _refresh_status(self) -> None:
        self.context.refresh_status()

    @property
    def is_open(self) -> bool:
        """Whether the screen has its widgets: it is mounted, and neither it nor the app closes."""
        return self.is_mounted and self.is_attached and self.app.is_running

    async def ask(self, dialog: Screen[Result]) -> Result | None:
        """Open a dialog above this screen and wait for its result, in a `dialog_flow`.

        None if the user cancelled it, or left this screen before it opened."""
        if not (self.is_open and self.is_current):
            return None
        return await ask(self.app, dialog)

    async def in_thread(self, work: Callable[[], Result], *, ends_with_app: bool = False) -> Result:
        """Do `work` in a thread, in a `dialog_flow`, which ends here if the screen has closed.

        The app waits for the work when it closes, unless `ends_with_app`: for what another
        machine has to answer."""
        if ends_with_app:
            return await self._while_open(asyncio.wrap_future(LatestWork().submit(work)))
        return await self._while_open(asyncio.to_thread(work))

    async def in_session(self, future: Future[Result]) -> Result:
        """Wait for a session job, in a `dialog_flow`, which ends here if the screen has closed.

        A failure inside a model is a UserError: it must not end the dashboard."""
        try:
            return await self._while_open(asyncio.wrap_future(future))
        except UserError:
            raise
        except OSError as error:
            raise UserError(format_error(error)) from error
        except Exception as error:
            raise UserError(format_unexpected_error(error)) from error

    async def _while_open(self, work: Awaitable[Result]) -> Result:
        try:
            return await work
        finally:
            if not self.is_open:
                raise asyncio.CancelledError

    def to_copy(self) -> ToCopy:
        """What can be copied from the screen as it is now."""
        return ToCopy()

    def load_draft(self) -> None:
        """Load `app_state.draft`, on the screen that has a form."""

    def run_in_thread(
        self,
        work: Callable[[], Result],
        on_done: Callable[[Result], None],
        on_failed: Callable[[str], None] | None = None,
        *,
        group: str = "work",
    ) -> None:
        """Do `work` in a thread and pass its result to `on_done`, on the screen's thread.

        A group has one thread: newer work replaces work that waits for it, and the result of
        work that is being done is dropped, as are results that come when the screen closes.
        The app does not wait for the thread when it closes. A UserError or OSError goes to
        `on_failed` as one line (by default a toast)."""
        future = self._threads.setdefault(group, LatestWork()).submit(work)

        async def do() -> None:
            await self._deliver(asyncio.wrap_future(future), on_done, on_failed)

        _: Worker[None] = self.run_worker(do, group=group, exclusive=True)

    def await_session(
        self,
        future: Future[Result],
        on_done: Callable[[Result], None],
        on_failed: Callable[[str], None] | None = None,
        *,
        group: str = "session",
    ) -> None:
        """Like `run_in_thread`, for a job of the session that has been submitted already."""

        async def do() -> None:
            await self._deliver(self.in_session(future), on_done, on_failed)

        _: Worker[None] = self.run_worker(do, group=group, exclusive=True)

    async def _deliver(
        self,
        awaited: Awaitable[Result],
        on_done: Callable[[Result], None],
        on_failed: Callable[[str], None] | None,
    ) -> None:
        try:
            result = await awaited
        except (UserError, OSError) as error:
            line = str(error) if isinstance(error, UserError) else format_error(error)
            if self.is_open:
                (on_failed or self.notify_error)(safe_text(line))
            return
        if self.is_open:
            on_done(result)

    def notify_error(self, message: str) -> None:
        """Show a toast that says what failed and why."""
        self.context.notify(message, "error")

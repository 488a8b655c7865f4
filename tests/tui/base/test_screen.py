"""What all screens share: bars, dialogs, and work in threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest
from textual.app import ScreenStackError
from textual.events import Key
from textual.widgets import Static

from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.dialogs import PromptDialog, TextDialog
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.base.nav_bar import NavBar
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.run_status import run_status
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, record_toasts, wait_until


@pytest.fixture
def toasts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_toasts(monkeypatch)


def screen_of(dashboard: Dashboard) -> DashboardScreen:
    return cast(DashboardScreen, dashboard.screen)


async def test_an_error_in_the_session_is_a_toast_and_the_dashboard_continues(
    open_dashboard: OpenDashboard, toasts: list[str]
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        future: Future[Any] = Future()
        screen_of(dashboard).await_session(future, lambda _: None)
        future.set_exception(RuntimeError("CUDA out of memory"))
        await wait_until(pilot, lambda: bool(toasts))
        assert toasts == ["RuntimeError: CUDA out of memory"] and dashboard.is_running


async def test_a_dialog_of_a_hidden_screen_does_not_open(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        runs = screen_of(dashboard)
        await pilot.press("2")
        assert await runs.ask(PromptDialog("late")) is None
        await pilot.pause()
        assert isinstance(dashboard.screen, TrainScreen)

        async def ask_in_time() -> None:
            await screen_of(dashboard).ask(PromptDialog("in time"))

        dashboard.start_flow(ask_in_time())
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))


async def test_the_status_in_the_bar_is_updated_when_a_screen_is_shown(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        await pilot.press("2")
        dashboard.show_run(RunFeed.open(make_run(app_state.runs_dir)))
        await pilot.press("1")
        status = dashboard.status_line().plain
        assert status
        await wait_until(pilot, lambda: dashboard.screen.query_one(NavBar).status.plain == status)


async def test_the_status_keeps_away_from_the_titles_and_tells_the_accuracy_in_little_room(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with open_dashboard("train") as (dashboard, pilot):
        bar = dashboard.screen.query_one(NavBar)

        def shown() -> tuple[int, str]:
            """The blanks after the last title, and the status."""
            text = bar.render_line(0).text.rstrip().partition("7 Sweep")[2]
            return len(text) - len(text.lstrip()), text.strip()

        status = f"✓ {app_state.feed.name}  finished  ~98.0 % val"
        await wait_until(pilot, lambda: shown()[1] == status)
        bar.status = run_status(app_state.feed, "export of a model 62%")
        await pilot.pause()
        assert shown()[0] >= 2 and shown()[1].startswith("⚙ export of a model 62%  ✓ ")
        assert shown()[1].endswith("~98.0 % val")
        await pilot.resize_terminal(80, 24)
        await wait_until(pilot, lambda: bar.size.width == 80)
        assert shown()[0] == 2 and shown()[1].startswith("⚙ export of a") and shown()[1][-1] == "…"
        bar.status = run_status(app_state.feed)
        await pilot.pause()
        assert shown()[1] == "✓ ~98.0 % val"


async def test_a_run_that_is_read_slowly_does_not_replace_a_training(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir)
    read, open_feed = threading.Event(), RunFeed.open

    def open_later(folder: Any) -> RunFeed:
        assert read.wait(60)
        return open_feed(folder)

    monkeypatch.setattr(RunFeed, "open", open_later)
    async with open_dashboard("train") as (dashboard, pilot):
        dashboard.follow_run(folder)
        await pilot.pause()
        training_feed = open_feed(folder)
        dashboard.show_run(training_feed)
        with monkeypatch.context() as patch:
            patch.setattr(AppState, "is_training", True)
            read.set()
            await dashboard.workers.wait_for_complete()
            assert dashboard.app_state.feed is training_feed


async def test_a_click_in_the_key_bar_runs_the_action_of_the_key(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        bar = dashboard.screen.query_one(KeyBar)
        column = str(bar.render()).index("? keys")
        await pilot.click(KeyBar, offset=(column + 1, 0))
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TextDialog))


async def test_settings_that_cannot_be_saved_are_reported_once(
    open_dashboard: OpenDashboard, app_state: AppState, toasts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    app_state.settings.folder = tmp_path / "file" / "below"
    async with open_dashboard("runs") as (_, pilot):
        await pilot.press("t")
        await wait_until(pilot, lambda: bool(toasts))
        await pilot.press("t", "o")
        await pilot.pause(0.3)
        assert len(toasts) == 1 and "not saved" in toasts[0]


class SlowWidget(Static):
    """A widget whose unmounting waits until a result has been delivered."""

    def __init__(self, closing: threading.Event, delivered: asyncio.Event) -> None:
        super().__init__()
        self.closing, self.delivered = closing, delivered

    async def on_unmount(self) -> None:
        self.closing.set()
        await self.delivered.wait()


@pytest.mark.parametrize("outcome", ["a result", "a failure"])
@pytest.mark.parametrize("leave", ["q", "the end of the test"])
async def test_no_callback_runs_for_a_thread_that_ends_while_the_app_closes(
    open_dashboard: OpenDashboard, outcome: str, leave: str
) -> None:
    started, closing, delivered = threading.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    calls: list[object] = []

    def work() -> str:
        started.set()
        assert closing.wait(60)
        # Give the coroutine that awaits this thread time to run first.
        loop.call_soon_threadsafe(lambda: loop.call_later(0.05, delivered.set))
        if outcome == "a failure":
            raise UserError("too late")
        return "too late"

    async with open_dashboard("runs") as (dashboard, pilot):
        screen = screen_of(dashboard)
        await screen.mount(SlowWidget(closing, delivered))
        screen.run_in_thread(work, calls.append, calls.append, group="late")
        # Work that is cancelled before its thread begins is never done.
        await wait_until(pilot, started.is_set)
        if leave == "q":
            await pilot.press("q")
    assert delivered.is_set(), "the thread ended while the screen was closing"
    assert calls == []


async def test_a_closed_app_ignores_late_updates(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    """A timer or a thread may call the app when its screens are gone."""
    app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with open_dashboard("runs") as (dashboard, _):
        pass
    with pytest.raises(ScreenStackError):
        dashboard.screen.refresh()
    dashboard.notify("too late")
    dashboard.refresh_status()
    dashboard._tick()


class AskingWidget(Static):
    """A widget that opens two dialogs when `a` is pressed, and keeps the answers."""

    can_focus = True
    BINDINGS = [("a", "ask", "Ask"), ("b", "count", "Count"), ("f", "fail", "Fail")]

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str | None] = []
        self.pressed = 0
        self.error: Exception = UserError("")

    def action_count(self) -> None:
        self.pressed += 1

    @dialog_flow
    async def action_fail(self) -> None:
        def work() -> None:
            raise self.error

        await cast(DashboardScreen, self.screen).in_thread(work)

    @dialog_flow
    async def action_ask(self) -> None:
        screen = cast(DashboardScreen, self.screen)
        answer = await screen.ask(PromptDialog("first"))
        self.answers.append(answer)
        if self.answers == ["b"]:
            answer = await screen.ask(PromptDialog("second"))
            self.answers.append(answer)


async def test_keys_typed_ahead_of_dialogs_reach_the_dialogs(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        asking = AskingWidget()
        await dashboard.screen.mount(asking)
        asking.focus()
        await pilot.pause()
        # All keys are in the queue before the first is handled.
        for key in ("a", "b", "enter"):
            dashboard.post_message(Key(key, key if len(key) == 1 else None))
        await wait_until(pilot, lambda: asking.answers == ["b"])
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        await pilot.press("z", "enter")
        await wait_until(pilot, lambda: asking.answers == ["b", "z"])
        assert asking.pressed == 0


async def test_a_dialog_is_cancelled_when_another_screen_is_shown(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        asking = AskingWidget()
        await dashboard.screen.mount(asking)
        asking.action_ask()
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        dashboard.show("train")
        await wait_until(pilot, lambda: asking.answers == [None])
        assert isinstance(dashboard.screen, TrainScreen)


async def test_a_dialog_does_not_open_over_another_screen(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        asking = AskingWidget()
        await dashboard.screen.mount(asking)
        await pilot.press("2")
        asking.action_ask()
        assert asking.answers == [None] and isinstance(dashboard.screen, TrainScreen)


@pytest.mark.parametrize(
    ("error", "toast"),
    [
        (UserError("no such file\nand more"), "no such file"),
        (OSError(28, "No space left on device", "x"), "No space left on device: x"),
    ],
)
async def test_an_error_in_a_dialog_flow_is_a_toast(
    open_dashboard: OpenDashboard, toasts: list[str], error: Exception, toast: str
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        asking = AskingWidget()
        asking.error = error
        await dashboard.screen.mount(asking)
        asking.action_fail()
        await wait_until(pilot, lambda: toasts == [toast])

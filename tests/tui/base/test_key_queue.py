"""Keys that are typed faster than they are handled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widget import Widget

from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, TextDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from tests.tui.conftest import OpenDashboard, wait_for_idle
from tests.tui.support import record_toasts, wait_until


class SlowWidget(Widget):
    """Handles a key only once it may. The pilot would wait for it, so keys are posted."""

    can_focus = True

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()
        self.keys: list[str] = []

    async def on_key(self, event: Key) -> None:
        self.keys.append(event.key)
        await self.may_go_on.wait()


@asynccontextmanager
async def slow_widget(
    open_dashboard: OpenDashboard,
) -> AsyncIterator[tuple[Dashboard, Pilot[int], SlowWidget]]:
    async with open_dashboard("runs") as (dashboard, pilot):
        slow = SlowWidget()
        await dashboard.screen.mount(slow)
        slow.focus()
        await pilot.pause()
        try:
            yield dashboard, pilot, slow
        finally:
            slow.may_go_on.set()


async def type_ahead(dashboard: Dashboard, *keys: str) -> None:
    for key in keys:
        dashboard.post_message(Key(key, key if len(key) == 1 else None))
    await wait_for_idle()


async def test_a_key_waits_until_the_one_before_it_is_handled(
    open_dashboard: OpenDashboard,
) -> None:
    async with slow_widget(open_dashboard) as (dashboard, pilot, slow):
        await type_ahead(dashboard, "2", "3", "up")
        assert slow.keys == ["2"] and dashboard.current_mode == "runs"
        slow.may_go_on.set()
        await wait_until(pilot, lambda: dashboard.current_mode == "evaluate")
        assert slow.keys == ["2"]


async def test_a_key_that_is_never_handled_does_not_hold_up_the_keyboard(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with slow_widget(open_dashboard) as (dashboard, _, slow):
        await type_ahead(dashboard, "up", "ctrl+q")
        assert slow.keys == ["up"] and dashboard.return_value is None
        monkeypatch.setattr("fmnist_tui.tui.base.key_queue._LIMIT_S", 0)
        await type_ahead(dashboard, "down")
        assert dashboard.return_value == 0


async def test_a_key_that_is_never_handled_holds_up_the_next_for_a_limited_time(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fmnist_tui.tui.base.key_queue._LIMIT_S", 0.05)
    async with slow_widget(open_dashboard) as (dashboard, _, slow), asyncio.timeout(60):
        await type_ahead(dashboard, "up", "ctrl+q")
        while dashboard.return_value is None:
            await asyncio.sleep(0.01)
        assert slow.keys == ["up"] and dashboard.return_value == 0


async def test_ctrl_c_waits_for_no_other_key_and_drops_those_that_wait(
    open_dashboard: OpenDashboard,
) -> None:
    async with slow_widget(open_dashboard) as (dashboard, _, slow):
        await type_ahead(dashboard, "up", "2", "x", "ctrl+c")
        assert dashboard.return_value == 130
        assert slow.keys == ["up"] and dashboard.current_mode == "runs"


async def test_of_a_flood_of_keys_and_of_a_huge_paste_is_said_that_they_are_not_taken(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fmnist_tui.tui.base.key_queue._MOST_WAITING", 5)
    async with slow_widget(open_dashboard) as (dashboard, _, slow):
        toasts = record_toasts(monkeypatch)
        await type_ahead(dashboard, *["up", *"x" * 20])
        assert toasts[0].startswith("keys are dropped: 5 wait already")
        slow.may_go_on.set()
        await wait_for_idle()
        assert len(slow.keys) == 6
        dashboard.post_message(Paste("x" * 100_001))
        await wait_for_idle()
        assert toasts[-1] == "the paste was not taken: it is longer than 100,000 characters"


async def test_the_key_that_closes_a_dialog_does_nothing_below_while_it_is_held_down(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        await pilot.press("question_mark")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TextDialog))
        now = 1_000.0
        for pause in (1.0, 0.5, 0.03, 0.03, 0.69):
            now += pause
            key = Key("q", "q")
            key.time = now
            dashboard.post_message(key)
            await wait_for_idle()
        assert isinstance(dashboard.screen, DashboardScreen) and dashboard.return_value is None
        key = Key("q", "q")
        key.time = now + 0.71
        dashboard.post_message(key)
        await wait_for_idle()
        assert dashboard.return_value == 0


async def test_a_key_whose_widget_is_removed_does_not_hold_up_the_next(
    open_dashboard: OpenDashboard,
) -> None:
    async with slow_widget(open_dashboard) as (dashboard, pilot, slow):
        await type_ahead(dashboard, "up", "2")
        removed = slow.remove()
        slow.may_go_on.set()
        await removed
        await wait_until(pilot, lambda: dashboard.current_mode == "train")


class Asking(Widget):
    """Asks one question after another, which `a` and enter could answer."""

    can_focus = True
    BINDINGS = [("a,enter", "ask", "Ask")]

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str | None] = []

    @dialog_flow
    async def action_ask(self) -> None:
        screen = self.screen
        assert isinstance(screen, DashboardScreen)
        for question in ("Now?", "Really?"):
            answers = [Choice("a", "yes"), Choice("b", "yes"), Choice("n", "no")]
            answer = await screen.ask(ChoiceDialog(question, "", answers))
            self.answers.append(answer)


@pytest.mark.parametrize("key", ["a", "enter"])
async def test_a_key_that_is_held_down_does_not_answer_the_question_that_it_opened(
    open_dashboard: OpenDashboard, key: str
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        asking = Asking()
        await dashboard.screen.mount(asking)
        asking.focus()
        await pilot.pause()
        await type_ahead(dashboard, *[key] * 5)
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        await pilot.press(*[key] * 5)
        assert asking.answers == []
        # The key that answers the first question does not answer the second one.
        await type_ahead(dashboard, *["b"] * 5)
        assert asking.answers == ["b"]
        await pilot.press("n")
        await wait_until(pilot, lambda: asking.answers == ["b", "n"])

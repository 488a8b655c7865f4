"""The dashboard as a whole: the keys that work everywhere, dialogs."""

from __future__ import annotations

import pytest
from textual.content import Content
from textual.events import Key
from textual.widgets import OptionList

from fmnist_tui.runs.lock import RunLock
from fmnist_tui.tui import theme
from fmnist_tui.tui.app import SCREENS
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, PromptDialog, TextDialog
from fmnist_tui.tui.help import KeyColumns
from fmnist_tui.tui.screens.runs.screen import RunsScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, record_toasts


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("ctrl+q", 0), ("ctrl+c", 130)])
async def test_the_keys_that_quit_set_the_exit_status(
    open_dashboard: OpenDashboard, key: str, status: int
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press(key)
        await pilot.pause()
    assert dashboard.return_value == status


async def test_each_screen_has_a_key_that_shows_it(
    open_dashboard: OpenDashboard,
) -> None:
    screens = SCREENS
    assert [screen.KEY for screen in screens] == ["1", "2", "3", "4", "5", "6", "7"]
    async with open_dashboard("runs") as (dashboard, pilot):
        for screen in screens:
            await pilot.press(screen.KEY)
            await pilot.pause()
            assert isinstance(dashboard.screen, screen)
        await pilot.press("1")
        await pilot.pause()
        assert isinstance(dashboard.screen, screens[0])


async def test_the_question_mark_opens_the_help_and_four_keys_close_it(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        for key in ("escape", "q", "enter", "question_mark"):
            await pilot.press("question_mark")
            await pilot.pause()
            assert isinstance(dashboard.screen, TextDialog)
            lines = dashboard.screen.query_one(KeyColumns).render().plain.split("\n")
            text = "\n".join(lines)
            assert "Dark or light theme" in text and "runs.archive" in text
            assert lines[0].split() == ["This", "screen", "Table"]
            assert text.index("Everywhere") < text.index("Also")
            assert len([line for line in lines if "Move" in line]) == 1 and "↓" in text
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(dashboard.screen, TextDialog), key
    assert dashboard.return_value is None


async def test_t_switches_the_theme_and_saves_it(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        for expected in (theme.LIGHT, theme.DARK):
            await pilot.press("t")
            await pilot.pause()
            assert dashboard.theme == expected
            assert app_state.settings.get("theme", "") == expected


async def test_d_reports_why_no_run_can_be_detached(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir, ended=False, epochs=1)
    async with open_dashboard("runs") as (dashboard, pilot):
        toasts = record_toasts(monkeypatch)
        await pilot.press("d")
        assert toasts == ["no run is in progress"]
        with RunLock.acquire(folder.path):
            dashboard.show_run(RunFeed.open(folder))
            await pilot.press("d")
        assert toasts[1:] == ["this run is in another process: it continues when you quit (q)"]
    assert dashboard.return_value is None


async def test_tab_moves_the_focus_between_panes(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        # The form is alone with a text as long as no run is shown.
        dashboard.show_run(RunFeed.open(make_run(app_state.runs_dir)))
        await pilot.pause()
        first = dashboard.focused
        await pilot.press("tab")
        second = dashboard.focused
        assert first is not None and second is not None and second is not first
        await pilot.press("shift+tab")
        assert dashboard.focused is first


async def test_a_key_on_its_way_when_another_screen_is_shown_is_not_used_there(
    open_dashboard: OpenDashboard,
) -> None:
    """The new screen has no widgets yet."""
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.show("runs")
        late = Key("escape", None)
        late._set_forwarded()
        await dashboard.on_event(late)
        await pilot.pause()
        assert isinstance(dashboard.screen, RunsScreen)


# -- dialogs -----------------------------------------------------------------------------


async def test_a_picker_is_filtered_by_typing_and_navigated_by_keys(
    open_dashboard: OpenDashboard,
) -> None:
    items: list[tuple[str, str | Content]] = [
        (str(number), f"item {number}") for number in range(15)
    ]
    async with open_dashboard("runs") as (dashboard, pilot):
        chosen: list[str | None] = []

        async def open_picker() -> OptionList:
            dashboard.push_screen(PickerDialog("one of them", items), chosen.append)
            await pilot.pause()
            return dashboard.screen.query_one(OptionList)

        listed = await open_picker()
        for key, row in {"down": 1, "pagedown": 11, "up": 10, "pageup": 0}.items():
            await pilot.press(key)
            assert listed.highlighted == row, key
        await pilot.press("1", "4")
        await pilot.pause()
        assert listed.option_count == 1
        await pilot.press("enter")
        await pilot.pause()
        await open_picker()
        await pilot.press("escape")
        await pilot.pause()
        assert chosen == ["14", None]


@pytest.mark.parametrize(
    ("keys", "answer"), [("y", "y"), ("down enter", "n"), ("enter", "y"), ("escape", None)]
)
async def test_a_choice_is_made_by_its_key_or_the_arrows_and_cancelled_by_escape(
    open_dashboard: OpenDashboard, keys: str, answer: str | None
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        chosen: list[str | None] = []
        question = ChoiceDialog("Sure?", "Is it?", [Choice("y", "yes", "do it"), Choice("n", "no")])
        dashboard.push_screen(question, chosen.append)
        await pilot.pause()
        await pilot.press(*keys.split())
        await pilot.pause()
        assert chosen == [answer]


async def test_a_prompt_is_submitted_by_enter_and_cancelled_by_escape(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        lines: list[str | None] = []
        for keys in ("enter", "end c enter", "c escape"):
            dashboard.push_screen(PromptDialog("a line", "ab"), lines.append)
            await pilot.pause()
            await pilot.press(*keys.split())
            await pilot.pause()
        assert lines == ["ab", "abc", None]

"""The dashboard as a whole: the keys that work everywhere, the palette, dialogs."""

from __future__ import annotations

import pytest
from textual.command import CommandPalette
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from fmnist_tui.config.recipes import DEFAULT_RECIPE
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.tui import theme
from fmnist_tui.tui.app import SCREENS, Dashboard
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, PromptDialog, TextDialog
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.conftest import OpenDashboard
from tests.tui.scripted import make_run, wait_until


def toasts(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the dashboard says from now on."""
    said: list[str] = []
    monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: said.append(message))
    return said


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("ctrl+q", 0), ("ctrl+c", 130)])
async def test_it_opens_and_leaves_by_a_key(
    open_dashboard: OpenDashboard, key: str, status: int
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press(key)
        await pilot.pause()
    assert dashboard.return_value == status


async def test_every_screen_has_a_key_which_leads_there_from_any_other(
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


async def test_the_question_mark_opens_the_keys_and_any_of_four_keys_closes_them(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        for key in ("escape", "q", "question_mark", "enter"):
            await pilot.press("question_mark")
            await pilot.pause()
            assert isinstance(dashboard.screen, TextDialog)
            text = str(dashboard.screen.query_one(Static).content)
            assert "Everywhere" in text and "Dark or light theme" in text
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(dashboard.screen, TextDialog), key
    assert dashboard.return_value is None


async def test_t_changes_between_dark_and_light_and_it_is_kept(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        for wanted in (theme.LIGHT, theme.DARK):
            await pilot.press("t")
            await pilot.pause()
            assert dashboard.theme == wanted
            assert app_state.settings.get("theme", "") == wanted


async def test_d_says_why_there_is_nothing_to_detach(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir, ended=False, epochs=1)
    async with open_dashboard("runs") as (dashboard, pilot):
        said = toasts(dashboard, monkeypatch)
        await pilot.press("d")
        assert said == ["no run is in progress"]
        with RunLock.acquire(folder.path):
            dashboard.show_run(RunFeed.open(folder))
            await pilot.press("d")
        assert said[1:] == ["this run is in another process and continues when you quit (q)"]
    assert dashboard.return_value is None


async def test_tab_goes_from_pane_to_pane_and_back(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        first = dashboard.focused
        await pilot.press("tab")
        second = dashboard.focused
        assert first is not None and second is not None and second is not first
        await pilot.press("shift+tab")
        assert dashboard.focused is first


async def palette(dashboard: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Choose in the palette what comes first for some words."""
    await pilot.press("ctrl+p")
    await wait_until(pilot, lambda: isinstance(dashboard.screen, CommandPalette))
    dashboard.screen.query_one(Input).value = text
    listed = dashboard.screen.query_one(OptionList)

    def found() -> bool:
        first = str(listed.get_option_at_index(0).prompt) if listed.option_count else ""
        return text in first

    await wait_until(pilot, found)
    await pilot.press("enter")
    if isinstance(dashboard.screen, CommandPalette):
        await pilot.press("enter")
    await wait_until(pilot, lambda: not isinstance(dashboard.screen, CommandPalette))
    await pilot.pause()


async def test_the_palette_knows_screens_actions_recipes_and_runs(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    folder = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await palette(dashboard, pilot, "Go to Errors")
        assert dashboard.current_mode == "errors"
        await palette(dashboard, pilot, "Dark or light theme")
        assert dashboard.theme == theme.LIGHT
        await palette(dashboard, pilot, "Keys of this screen")
        assert isinstance(dashboard.screen, TextDialog)
        await pilot.press("escape")
        await palette(dashboard, pilot, f"Recipe: {DEFAULT_RECIPE}")
        assert dashboard.current_mode == "train"
        await palette(dashboard, pilot, f"Run: {folder.name}")
        assert dashboard.current_mode == "evaluate" and app_state.selected_run == folder
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, CommandPalette))
        await pilot.press("escape")
        await wait_until(pilot, lambda: not isinstance(dashboard.screen, CommandPalette))
        assert dashboard.current_mode == "evaluate"


# -- dialogs -----------------------------------------------------------------------------


async def test_a_picker_is_narrowed_by_typing_and_moved_in_by_keys(
    open_dashboard: OpenDashboard,
) -> None:
    items: list[tuple[str, str | Content]] = [
        (str(number), f"item {number}") for number in range(15)
    ]
    async with open_dashboard("runs") as (dashboard, pilot):
        chosen: list[str | None] = []

        async def opened_anew() -> OptionList:
            dashboard.push_screen(PickerDialog("one of them", items), chosen.append)
            await pilot.pause()
            return dashboard.screen.query_one(OptionList)

        listed = await opened_anew()
        for key, place in {"down": 1, "pagedown": 11, "up": 10, "pageup": 0}.items():
            await pilot.press(key)
            assert listed.highlighted == place, key
        await pilot.press("1", "4")
        await pilot.pause()
        assert listed.option_count == 1
        await pilot.press("enter")
        await pilot.pause()
        await opened_anew()
        await pilot.press("escape")
        await pilot.pause()
        assert chosen == ["14", None]


@pytest.mark.parametrize(
    ("keys", "answer"), [("y", "y"), ("down enter", "n"), ("enter", "y"), ("escape", None)]
)
async def test_a_question_is_answered_by_its_keys_the_arrows_or_escape(
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


async def test_a_line_that_is_asked_for_is_given_by_enter_and_left_by_escape(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        given: list[str | None] = []
        for keys in ("enter", "end c enter", "c escape"):
            dashboard.push_screen(PromptDialog("a line", "ab"), given.append)
            await pilot.pause()
            await pilot.press(*keys.split())
            await pilot.pause()
        assert given == ["ab", "abc", None]

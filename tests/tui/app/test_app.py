"""The dashboard as a whole: the keys that work everywhere, the palette, dialogs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.command import CommandList, CommandPalette
from textual.content import Content
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from fmnist_tui.config.recipes import DEFAULT_RECIPE
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.tui import theme
from fmnist_tui.tui.app import SCREENS, Dashboard
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, PromptDialog, TextDialog
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.screens.runs.screen import RunsScreen
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, record_toasts, wait_until


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
        assert toasts[1:] == ["this run is in another process and continues when you quit (q)"]
    assert dashboard.return_value is None


async def test_tab_moves_the_focus_between_panes(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        first = dashboard.focused
        await pilot.press("tab")
        second = dashboard.focused
        assert first is not None and second is not None and second is not first
        await pilot.press("shift+tab")
        assert dashboard.focused is first


async def choose_in_palette(dashboard: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Choose the first entry of the palette that matches a text."""
    await pilot.press("ctrl+p")
    await wait_until(pilot, lambda: isinstance(dashboard.screen, CommandPalette))
    await choose_option(dashboard, pilot, text)
    await wait_until(pilot, lambda: not isinstance(dashboard.screen, CommandPalette))
    await pilot.pause()


async def choose_option(dashboard: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Choose the first entry of the open palette that matches a text."""
    palette = dashboard.screen
    palette.query_one(Input).value = text
    listed = palette.query_one(OptionList)

    def first_matches() -> bool:
        first = str(listed.get_option_at_index(0).prompt) if listed.option_count else ""
        return text in first and listed.highlighted is not None

    await wait_until(pilot, first_matches)
    await pilot.press("enter")
    await wait_until(pilot, lambda: dashboard.screen is not palette)


async def test_the_palette_offers_all_themes(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, CommandPalette))
        await choose_option(dashboard, pilot, "Theme…")
        await wait_until(
            pilot,
            lambda: any("themes" in line.placeholder for line in dashboard.screen.query(Input)),
        )
        await choose_option(dashboard, pilot, "dracula")
        await wait_until(pilot, lambda: dashboard.theme == "dracula")
        assert app_state.settings.get("theme", "") == "dracula"


async def test_the_palette_can_be_searched_while_its_runs_are_still_being_listed(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_list = threading.Event()

    def list_slowly(folder: Path) -> list[RunSummary]:
        may_list.wait(60)
        return []

    monkeypatch.setattr("fmnist_tui.tui.command_palette.list_runs", list_slowly)
    async with open_dashboard("runs") as (dashboard, pilot):
        await pilot.press("ctrl+p", *"evalu")
        assert isinstance(dashboard.screen, CommandPalette)
        may_list.set()
        await choose_option(dashboard, pilot, "Go to Evaluate")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, EvaluateScreen))


async def test_text_that_arrives_after_the_palette_has_closed_is_ignored(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, CommandPalette))
        palette = dashboard.screen
        line = palette.query_one(Input)
        await palette.query_one(CommandList).remove()
        await palette.run_action("escape")
        palette.post_message(Input.Changed(line, "late"))
        await wait_until(pilot, lambda: dashboard.screen is not palette)
        await pilot.press("2")
        assert isinstance(dashboard.screen, TrainScreen)


async def test_the_palette_offers_the_actions_of_the_screen_below_it_even_under_a_dialog(
    open_dashboard: OpenDashboard,
) -> None:
    """A dialog that is asked for just before opens above the palette, which is not mounted yet."""
    async with open_dashboard("runs") as (dashboard, pilot):
        dashboard.action_command_palette()
        palette = dashboard.screen
        dashboard.action_help()
        await pilot.press("escape")
        await wait_until(pilot, lambda: dashboard.screen is palette)
        listed = palette.query_one(OptionList)
        await wait_until(pilot, lambda: listed.option_count > len(SCREENS))
        await pilot.pause()
        offered = "\n".join(str(option.prompt) for option in listed.options)
        assert "Go to bottom" not in offered and "Archive" in offered


async def test_the_palette_opens_above_the_screen_of_a_key_typed_just_before(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        for key in ("2", "ctrl+p", "x", "y"):
            dashboard.post_message(Key(key, key if len(key) == 1 else None))
        await wait_until(pilot, lambda: isinstance(dashboard.screen, CommandPalette))
        await wait_until(pilot, lambda: dashboard.screen.query_one(Input).value == "xy")
        assert dashboard.current_mode == "train"


@pytest.mark.parametrize(
    "open_it", [Dashboard.action_command_palette, Dashboard.action_jobs, Dashboard.action_help]
)
async def test_another_screen_may_be_shown_before_a_dialog_is_mounted(
    open_dashboard: OpenDashboard, open_it: Callable[[Dashboard], None]
) -> None:
    """A run that was chosen just before may open while the dialog opens."""
    async with open_dashboard("runs") as (dashboard, pilot):
        open_it(dashboard)
        dashboard.show("train")
        await pilot.pause()
        assert isinstance(dashboard.screen, TrainScreen)
        await choose_in_palette(dashboard, pilot, "Go to Errors")
        assert dashboard.current_mode == "errors"


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


async def test_a_search_in_the_palette_ends_when_another_screen_is_shown(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        await pilot.press("ctrl+p")
        palette = dashboard.screen
        palette.query_one(Input).value = "e"
        await wait_until(pilot, lambda: bool(palette.query_one(OptionList).option_count))
        dashboard.post_message(Key("v", "v"))
        while not any(not worker.is_finished for worker in dashboard.workers):
            await asyncio.sleep(0)
        dashboard.show("train")
        assert all(worker.is_cancelled for worker in dashboard.workers if worker.node is palette)
        await pilot.pause()
        assert isinstance(dashboard.screen, TrainScreen)


async def test_the_palette_offers_screens_actions_recipes_and_runs(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    folder = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await choose_in_palette(dashboard, pilot, "Go to Errors")
        assert dashboard.current_mode == "errors"
        await choose_in_palette(dashboard, pilot, "Dark or light theme")
        assert dashboard.theme == theme.LIGHT
        await choose_in_palette(dashboard, pilot, "Keys of this screen")
        assert isinstance(dashboard.screen, TextDialog)
        await pilot.press("escape")
        await choose_in_palette(dashboard, pilot, f"Recipe: {DEFAULT_RECIPE}")
        assert dashboard.current_mode == "train"
        await choose_in_palette(dashboard, pilot, f"Run: {folder.name}")
        assert dashboard.current_mode == "evaluate" and app_state.selected_run == folder
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, CommandPalette))
        await pilot.press("escape")
        await wait_until(pilot, lambda: not isinstance(dashboard.screen, CommandPalette))
        assert dashboard.current_mode == "evaluate"


async def test_a_recipe_chosen_in_the_palette_above_a_dialog_fills_the_form(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press("f")
        assert isinstance(dashboard.screen, PickerDialog)
        await choose_in_palette(dashboard, pilot, "Recipe: split-50k-10k")
        assert isinstance(dashboard.screen, TrainScreen)
        assert app_state.form is not None and app_state.form.values["epochs"] == 10


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

"""The command palette: what it offers and what choosing an entry does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.command import CommandList, CommandPalette
from textual.content import Content
from textual.dom import DOMNode
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from fmnist_tui.config.recipes import DEFAULT_RECIPE
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui import theme
from fmnist_tui.tui.app import SCREENS, Dashboard
from fmnist_tui.tui.base.dialogs import PickerDialog, TextDialog
from fmnist_tui.tui.command_palette import PaletteCommands
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.screens.predict.draw_pad import DrawPad
from fmnist_tui.tui.screens.predict.result_pane import ResultPane
from fmnist_tui.tui.screens.runs.screen import RunsScreen
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, record_toasts, wait_until


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


async def offered_actions(dashboard: Dashboard, pilot: Pilot[int], screen: str) -> dict[str, str]:
    """The names that the palette has on a screen, with the lines below them."""
    dashboard.show(screen)
    await pilot.pause()
    provider = PaletteCommands(dashboard.screen)
    await provider.startup()
    return {entry.name: entry.about for entry in provider._entries}


def own_bindings(package: str) -> set[str]:
    """What the bindings below a package do."""
    classes, found = [DOMNode], set()
    while classes:
        owner = classes.pop()
        classes += owner.__subclasses__()
        if f"{owner.__module__}.".startswith(f"fmnist_tui.tui.{package}."):
            own = owner.__dict__.get("BINDINGS", ())
            found |= {binding.description for binding in own if binding.description}
    return found


async def test_the_palette_holds_every_binding_of_every_screen(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    app_state.settings.keymap["train.stop"] = "K"
    make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        titles = {screen.TITLE for screen in SCREENS}
        everywhere = (own_bindings("app") - titles) | {f"Go to {title}" for title in titles}
        assert {"Quit", "Background jobs"} <= everywhere
        for here in SCREENS:
            offered = await offered_actions(dashboard, pilot, here.NAME)
            assert everywhere <= offered.keys()
            for screen in SCREENS:
                actions = own_bindings(f"screens.{screen.NAME}")
                prefix = "" if screen is here else f"{screen.TITLE}: "
                assert len(actions) > 5 and {prefix + each for each in actions} <= offered.keys()
            stop = "Stop" if here is TrainScreen else "Train: Stop"
            assert offered[stop] == ("key K, not now" if here is TrainScreen else "key K")
            names = list(offered)
            before = set(names[: names.index("Theme…")])
            assert not {"Up", "Left", "Field above", "Move in the matrix", "Pen up"} & before
            assert names[0] in own_bindings(f"screens.{here.NAME}")


async def test_the_palette_lists_names_that_start_with_what_was_typed_first(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press("ctrl+p", *"re")
        listed = dashboard.screen.query_one(OptionList)
        await wait_until(pilot, lambda: bool(listed.option_count and listed._options))
        names = [str(option.prompt).split("  ")[0] for option in listed.options]
    starts = [name.lower().startswith("re") for name in names]
    assert starts == sorted(starts, reverse=True) and sum(starts) > 5


async def test_an_action_of_another_screen_shows_that_screen_and_tells_its_key(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(app_state.runs_dir)
    async with open_dashboard("data") as (dashboard, pilot):
        toasts = record_toasts(monkeypatch)
        await choose_in_palette(dashboard, pilot, "Runs: Archive")
        assert isinstance(dashboard.screen, RunsScreen) and toasts == ["Archive: key a"]


async def test_an_action_that_is_not_possible_now_says_so(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dashboard("errors") as (dashboard, pilot):
        toasts = record_toasts(monkeypatch)
        await choose_in_palette(dashboard, pilot, "Evaluate now")
        assert toasts == ["not possible now: Evaluate now"]


async def test_the_palette_acts_in_a_pane_that_has_not_the_focus(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("i")
        pad = dashboard.screen.query_one(DrawPad)
        await wait_until(pilot, lambda: pad.has_focus)
        dashboard.screen.query_one(ResultPane).focus()
        await wait_until(pilot, lambda: not pad.has_focus)
        await choose_in_palette(dashboard, pilot, "Pen down/up")
        assert pad._is_pen_down


async def test_a_recipe_chosen_in_the_palette_above_a_dialog_fills_the_form(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press("f")
        assert isinstance(dashboard.screen, PickerDialog)
        await choose_in_palette(dashboard, pilot, "Recipe: split-50k-10k")
        assert isinstance(dashboard.screen, TrainScreen)
        assert app_state.form is not None and app_state.form.values["epochs"] == 10


async def test_names_of_recipes_in_the_palette_are_safe_and_no_markup(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "[red]a\x1b[2J.toml").write_text("about = '[bold]x[/]'\n[run]\nepochs = 1\n")
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(tmp_path))
    async with open_dashboard("runs") as (dashboard, pilot):
        await pilot.press("ctrl+p", *"red")
        listed = dashboard.screen.query_one(OptionList)
        await wait_until(pilot, lambda: "[red]" in "".join(str(o.prompt) for o in listed.options))
        prompts = [option.prompt for option in listed.options]
    (prompt,) = [each for each in prompts if str(each).startswith("Recipe: [red]a")]
    assert isinstance(prompt, Content)
    name, *_, about = str(prompt).split("  ")
    assert (name, about.strip()) == ("Recipe: [red]a␛[2J", "[bold]x[/]")
    # The letters that match are marked, and the bracket is one of them that is not.
    assert any(prompt.plain[span.start : span.end] == "r" for span in prompt.spans)


async def test_the_palette_opens_the_tour_unless_a_run_is_in_progress(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    toasts = record_toasts(monkeypatch)
    async with open_dashboard("runs") as (dashboard, pilot):
        with monkeypatch.context() as training:
            training.setattr(AppState, "is_training", True)
            dashboard.action_tour()
        assert not app_state.wants_tour and "the tour opens when it has ended" in toasts[0]
        await choose_in_palette(dashboard, pilot, "Tour")
        assert app_state.wants_tour

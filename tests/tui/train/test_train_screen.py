"""Train: every key, with a fake training."""

from __future__ import annotations

import dataclasses
import time
from typing import NoReturn

import numpy as np
import pytest
from textual.containers import Vertical
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from fmnist_tui.config import recipes
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.engine.run import failures
from fmnist_tui.protocol.commands import (
    Command,
    Pause,
    Resume,
    SaveCheckpoint,
    ScaleLearningRate,
    Stop,
)
from fmnist_tui.protocol.events import Alert, Changed, Glance
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, QuitDialog
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.jobs import apart
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.screens.train.log import LogPane
from fmnist_tui.tui.screens.train.next_run import NextRunPane
from fmnist_tui.tui.screens.train.probe_images import ProbePane
from fmnist_tui.tui.screens.train.progress import RunProgress
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.tui.state.job import BackgroundJob
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import NO_VALUE
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, events, make_run, notice, record_toasts, wait_until
from tests.tui.train.support import FakeTraining, panes_by_view, record_starts


def screen_of(dashboard: Dashboard) -> TrainScreen:
    assert isinstance(dashboard.screen, TrainScreen)
    return dashboard.screen


def text_of(dashboard: Dashboard, widget_type: type[LogPane] | type[RunProgress]) -> str:
    widget = dashboard.screen.query_one(widget_type)
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


async def wait_for_events(dashboard: Dashboard, pilot: Pilot[int], run: FakeTraining) -> None:
    await wait_until(pilot, lambda: not run.events)
    await pilot.pause(0.05)


async def test_without_a_run_the_next_one_is_described_with_what_differs_from_its_recipe(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        pane = dashboard.screen.query_one(NextRunPane)
        assert pane.region.area and not dashboard.screen.query_one("#charts").region.area

        def card() -> str:
            return " ".join(pane.text.split())

        await wait_until(pilot, lambda: "225,034 parameters" in card())
        assert "claim test accuracy at least 91.00 %" in card()
        assert "not timed here yet" in card() and "space starts it" in card()
        dashboard.screen.query_one(Form).fields.go_to("lr")
        await pilot.press("enter", "ctrl+u", *"0.01", "enter")
        await wait_until(pilot, lambda: "changed lr 0.01 ← 0.004" in card())
        marked = ("Next run", "← the recipe's values")
        await wait_until(pilot, lambda: form_titles(dashboard) == marked)


@pytest.mark.parametrize(("size", "scrolls"), [((80, 24), True), ((200, 60), False)])
async def test_the_card_of_the_next_run_has_the_keyboard_where_it_has_to_be_scrolled(
    open_dashboard: OpenDashboard, size: tuple[int, int], scrolls: bool
) -> None:
    async with open_dashboard("train", size=size) as (dashboard, pilot):
        pane = dashboard.screen.query_one(NextRunPane)
        await wait_until(pilot, lambda: "225,034 parameters" in pane.text)
        await pilot.pause()
        await pilot.press("tab")
        assert pane.has_focus == scrolls
        if scrolls:
            await pilot.press("end")
            await wait_until(pilot, lambda: pane.scroll_offset.y == pane.max_scroll_y)
        await pilot.press("shift+tab")
        assert dashboard.screen.query_one(Form).fields.has_focus


async def test_a_run_that_loads_its_dataset_says_what_it_does_or_why_it_did_not_start(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    run.events.clear()
    run.load_steps.append(
        LoadStep("fashion", "Debian package", "progress", "download", 3 << 20, 30 << 20)
    )
    async with open_dashboard("train") as (dashboard, pilot):
        shown = "preparing: fashion, Debian package: download 3 of 30 MB"
        await wait_until(
            pilot, lambda: " ".join(text_of(dashboard, RunProgress).split()).startswith(shown)
        )
        run.finish(UserError("no such data"))
        await wait_until(pilot, lambda: "✗ not started" in text_of(dashboard, RunProgress))
        assert "no such data" in text_of(dashboard, RunProgress)


async def test_a_run_is_shown_with_bars_figures_and_log(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        progress = text_of(dashboard, RunProgress)
        assert "epoch 3/4" in progress and "50 %" in progress and "6,400 images/s" in progress
        assert "step 40/80" in progress and "best ~85.28 %" in progress
        assert "epoch 2" in text_of(dashboard, LogPane)
        await pilot.press("s")
        run.events.append(Alert(0.0, "note", "saving"))
        await wait_until(pilot, lambda: "stopping: what is" in text_of(dashboard, RunProgress))


async def test_space_pauses_and_resumes(open_dashboard: OpenDashboard, run: FakeTraining) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        bar = dashboard.screen.query_one(KeyBar)
        assert "space Pause" in bar.render().plain
        await pilot.press("space")
        run.events.append(Changed(0.0, 40, "paused", "true"))
        await wait_for_events(dashboard, pilot, run)
        assert "paused: space goes on" in text_of(dashboard, RunProgress)
        assert "space Go on" in bar.render().plain
        await pilot.press("space")
        assert [type(command) for command in run.commands] == [Pause, Resume]


@pytest.mark.parametrize(
    ("key", "resumed", "started"), [("u", 1, 0), ("enter", 1, 0), ("n", 0, 1), ("x", 0, 0)]
)
async def test_space_after_a_stop_asks_before_it_starts_anything(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    resumed: int,
    started: int,
) -> None:
    app_state.feed = RunFeed.open(make_run(app_state.runs_dir, epochs=2, ended=False))
    resumes: list[FakeTraining] = []

    def resume(*_: object) -> FakeTraining:
        resumes.append(FakeTraining())
        return resumes[-1]

    monkeypatch.setattr(app_state.session, "resume", resume)
    async with open_dashboard("train") as (dashboard, pilot):
        starts = record_starts(dashboard, monkeypatch)
        await pilot.pause()
        assert "space Resume or new" in dashboard.screen.query_one(KeyBar).render().plain
        await pilot.press("space", "space", key)
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TrainScreen))
        await wait_until(pilot, lambda: (len(resumes), len(starts)) == (resumed, started))
        assert all(config == CONFIG for config in starts)
        for training in resumes:
            training.finish()


async def test_space_after_the_end_of_a_run_starts_the_next(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with open_dashboard("train") as (dashboard, pilot):
        starts = record_starts(dashboard, monkeypatch)
        await pilot.press("space")
        await wait_until(pilot, lambda: starts == [CONFIG])


async def test_space_in_the_instant_in_which_a_run_ends_starts_nothing(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    end = app_state.feed.state.end
    assert end is not None
    async with open_dashboard("train") as (dashboard, pilot):
        starts, toasts = record_starts(dashboard, monkeypatch), record_toasts(monkeypatch)
        monkeypatch.setattr(time, "time", lambda: end.t + 1.4)
        await pilot.press("space")
        assert starts == [] and "has just finished" in toasts[0]
        monkeypatch.setattr(time, "time", lambda: end.t + 1.6)
        await pilot.press("space")
        await wait_until(pilot, lambda: starts == [CONFIG])


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("s", Stop(0.0, "stopped by key")),
        ("c", SaveCheckpoint(0.0)),
        ("left_square_bracket", ScaleLearningRate(0.0, 0.5)),
        ("right_square_bracket", ScaleLearningRate(0.0, 2.0)),
    ],
)
async def test_keys_send_their_command(
    open_dashboard: OpenDashboard, run: FakeTraining, key: str, command: Command
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        await pilot.press(key)
        assert len(run.commands) == 1
        sent = run.commands[0]
        assert type(sent) is type(command)
        for name in ("why", "factor"):
            assert getattr(sent, name, None) == getattr(command, name, None)


@pytest.mark.parametrize("key", ["s", "c", "left_square_bracket", "right_square_bracket", "u"])
async def test_keys_for_a_run_do_nothing_without_one(
    open_dashboard: OpenDashboard, key: str
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press(key)
        await pilot.pause()
        assert dashboard.app_state.feed is None


async def test_a_value_is_checked_at_every_key(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        form = screen.query_one(Form)
        form.fields.go_to("lr")
        await pilot.press("enter")
        assert isinstance(dashboard.focused, Input)
        await pilot.press("ctrl+u", *"0.x")
        assert "lr" in screen.draft.problems
        await pilot.press("space")
        assert dashboard.app_state.feed is None
        await pilot.press("ctrl+u", *"0.02", "enter")
        assert screen.draft.values["lr"] == 0.02 and not screen.draft.problems
        assert dashboard.screen.focused is form.fields


async def test_escape_restores_the_value(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        screen.query_one(Form).fields.go_to("epochs")
        before = screen.draft.values["epochs"]
        await pilot.press("enter", "ctrl+u", "9", "escape")
        assert screen.draft.values["epochs"] == before
        assert dashboard.focused is screen.query_one(Form).fields


async def test_the_field_at_the_cursor_stays_visible_in_a_lower_terminal(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        fields = screen_of(dashboard).query_one(Form).fields
        while fields._cursor < fields.size.height - 1:
            await pilot.press("down")
        height, name = fields.size.height, fields.field
        assert fields.scroll_offset.y == 0
        await pilot.resize_terminal(120, 28)
        await wait_until(pilot, lambda: fields.size.height < height)
        await wait_until(
            pilot,
            lambda: any(name in fields.render_line(y).text for y in range(fields.size.height)),
        )


async def test_a_click_on_another_field_ends_the_editing(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        form = screen.query_one(Form)
        form.fields.go_to("epochs")
        before = dict(screen.draft.values)
        await pilot.press("enter", "ctrl+u", "5")
        await wait_until(pilot, lambda: screen.draft.values["epochs"] == 5)
        (line,) = (
            y
            for y in range(form.fields.size.height)
            if "batch_size" in form.fields.render_line(y).text
        )
        # What was typed last is known to the input alone when the click arrives.
        with form._input.prevent(Input.Changed):
            form._input.value = "52"
        await pilot.click(form.fields, offset=(3, line))
        await wait_until(pilot, lambda: not form.has_class("-typing"))
        assert form.fields.field == "batch_size" and dashboard.focused is form.fields
        await pilot.press("escape")
        await pilot.pause()
        assert screen.draft.values == before | {"epochs": 52}


async def test_a_recipe_that_fills_the_form_ends_the_editing(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        form = screen.query_one(Form)
        form.fields.go_to("epochs")
        await pilot.press("enter", "ctrl+u", "5")
        await wait_until(pilot, lambda: screen.draft.values["epochs"] == 5)
        dashboard.edit_recipe("split-50k-10k")
        await wait_until(pilot, lambda: dashboard.focused is form.fields)
        assert not form.has_class("-typing")
        await pilot.press("escape")
        await pilot.pause()
        assert screen.draft.values["epochs"] == 10


async def test_an_invalid_setting_prevents_the_start(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        screen.draft.set("epochs", "0")
        screen.query_one(Form).reload()
        await pilot.press("space")
        assert dashboard.app_state.feed is None
        assert screen.query_one(Form).fields.field == "epochs"


async def test_choices_are_stepped_through_and_listed(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        screen.query_one(Form).fields.go_to("schedule")
        before = screen.draft.values["schedule"]
        await pilot.press("right")
        assert screen.draft.values["schedule"] != before
        await pilot.press("left", "enter")
        assert isinstance(dashboard.screen, PickerDialog)
        current = dashboard.screen.query_one(OptionList).highlighted_option
        assert current is not None and current.id == before != "constant"
        await pilot.press(*"cosine", "enter")
        assert screen.draft.values["schedule"] == "cosine"


async def test_recipes_are_a_table_with_figures_and_runs_and_the_chosen_one_fills_the_form(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir, recipes.load_recipe("one-conv").config(seed=7))
    make_run(app_state.runs_dir, recipes.load_recipe("fast").config(epochs=7))
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press("f")
        picker = dashboard.screen
        assert isinstance(picker, PickerDialog)
        shown = picker.query_one(OptionList)

        def row(name: str) -> tuple[str, str]:
            text, _, last_run = str(shown.get_option(name).prompt).partition("Fashion-MNIST")
            return text, last_run.strip()

        await wait_until(pilot, lambda: "%" in row("one-conv")[1])
        assert row("one-conv")[0].startswith("one-conv ")
        assert "91.54 ± 0.12 %" in row("one-conv")[0] and " 25 s" in row("one-conv")[0]
        assert row("fast")[1] == NO_VALUE  # its run has other settings
        await pilot.press(*"two")
        assert "half a minute" in str(picker.query_one("#about", Static).content)
        await pilot.press("enter")
        assert screen_of(dashboard).draft.values["recipe"] == "two-conv"


async def test_where_no_recipe_matches_the_dialog_says_so_and_describes_none(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press("f", *"two")

        def texts() -> list[str]:
            parts = dashboard.screen.query("#about, #nothing").results(Static)
            return [str(part.content).split("\n")[0] for part in parts if part.display]

        (description,) = texts()
        assert "no recipe" not in description
        await pilot.press(*"zz", "enter")
        assert texts() == ["no recipe matches"]
        await pilot.press("backspace", "backspace")
        assert texts() == [description]


async def test_n_copies_the_settings_of_the_run(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press("n")
        assert screen_of(dashboard).draft.config() == CONFIG


def form_titles(dashboard: Dashboard) -> tuple[str, str]:
    form = dashboard.screen.query_one(Form)
    return str(form.border_title), str(form.border_subtitle or "")


async def test_the_form_shows_the_settings_of_the_run_shown(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    folder = make_run(app_state.runs_dir, CONFIG.changed(lr=0.02))
    app_state.feed = RunFeed.open(folder)
    other = make_run(app_state.runs_dir, CONFIG.changed(lr=0.03))
    async with open_dashboard("train") as (dashboard, pilot):
        draft = screen_of(dashboard).draft
        assert draft.config() == CONFIG.changed(lr=0.02)
        assert form_titles(dashboard) == ("Next run", f"settings of tiny {folder.id}")
        dashboard.show_run(RunFeed.open(other))
        await wait_until(pilot, lambda: draft.config() == CONFIG.changed(lr=0.03))


async def test_the_form_tells_the_settings_in_progress_from_those_of_the_next_run(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        draft = screen_of(dashboard).draft
        await pilot.press("down", "enter", "end", "7", "enter")
        await wait_until(pilot, lambda: draft.values["seed"] == 7)
        marked = ("Next run", "← the recipe's values")
        await wait_until(pilot, lambda: form_titles(dashboard) == marked)
        edited = draft.config()
        first = RunFeed.open(make_run(app_state.runs_dir))
        dashboard.show_run(first)
        await pilot.pause()
        assert draft.config() == edited and first.config == CONFIG
        training = FakeTraining(draft.config() or CONFIG)
        monkeypatch.setattr(app_state.session, "train", lambda _: training)
        await pilot.press("space")
        await wait_until(pilot, lambda: form_titles(dashboard)[0] == "Settings of two-conv")
        # What is edited now is for the next run; the value of the run stays in sight.
        fields = dashboard.screen.query_one(Form).fields
        fields.focus()
        await pilot.press("enter", "ctrl+u", "8", "enter")
        await wait_until(
            pilot, lambda: form_titles(dashboard) == ("Next run", "← the run's values")
        )
        rows = [fields.render_line(y).text.strip() for y in range(fields.size.height)]
        assert any(row.split() == ["▸seed", "8", "←", "7"] for row in rows)
        await pilot.press("enter", "ctrl+u", "7", "enter")
        training.finish()
        await wait_until(pilot, lambda: form_titles(dashboard)[0] == "Next run")
        # They have been used, and are in the record of that run.
        dashboard.show_run(first)
        await wait_until(pilot, lambda: draft.config() == CONFIG)


async def test_probe_images_are_shown_with_what_the_model_thinks_of_them(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    glance = Glance(
        0.0, 41, 3, tuple(range(10)), tuple(range(10)), (1, *range(1, 10)), (0.5,) * 10, 100,
        tuple(tuple(10 if row == column else 0 for column in range(10)) for row in range(10)),
    )  # fmt: skip
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        run.events.append(glance)
        await wait_for_events(dashboard, pilot, run)
        samples = dashboard.screen.query_one(ProbePane)
        drawn = "\n".join(samples.render_line(y).text for y in range(samples.size.height))
        assert "✗ Trouser 50 %" in drawn and "is T-shirt/top" in drawn
        assert "✓ Pullover 50 %" in drawn and "Sneaker" not in drawn
        heatmap = dashboard.screen.query_one(ConfusionHeat)
        assert samples.border_subtitle == "epoch 3 · 6 of 10: v shows all"
        assert heatmap.border_subtitle == "100 validation images"
        await pilot.press("v")
        await wait_until(pilot, lambda: samples.border_subtitle == "epoch 3")
        dashboard.show_run(RunFeed.of(FakeTraining()))
        await wait_until(pilot, lambda: not samples.border_subtitle)
        assert not heatmap.border_subtitle


async def test_the_images_of_another_run_do_not_stay(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    def glance(*indices: int) -> Glance:
        return Glance(0.0, 41, 3, indices, (1,), (1,), (0.5,), 100)

    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        run.events.append(glance(7))
        await wait_for_events(dashboard, pilot, run)
        samples = dashboard.screen.query_one(ProbePane)

        def has_image() -> bool:
            lines = range(samples.size.height)
            return any("▀" in samples.render_line(y).text for y in lines)

        samples.set_images({7: np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8)})
        await wait_until(pilot, has_image)
        # Its images are in no folder of this machine.
        other = FakeTraining(CONFIG.changed(dataset="fashion"))
        other.events.extend([next(iter(events())), glance(7)])
        dashboard.show_run(RunFeed.of(other))
        await wait_for_events(dashboard, pilot, other)
        assert samples.border_subtitle == "epoch 3"
        assert not has_image()
        other.finish()


async def test_an_unknown_renderer_in_the_settings_is_replaced(
    open_dashboard: OpenDashboard, run: FakeTraining, app_state: AppState
) -> None:
    app_state.settings.save("renderer", "hologram")
    image = np.zeros((28, 28, 1), np.uint8)
    async with open_dashboard("train") as (dashboard, pilot):
        run.events.append(Glance(0.0, 41, 3, (7,), (1,), (1,), (0.5,), 100, ()))
        await wait_for_events(dashboard, pilot, run)
        samples = dashboard.screen.query_one(ProbePane)
        samples.set_images({7: image})
        await pilot.pause()
        lines = [samples.render_line(y).text for y in range(samples.size.height)]
        assert any("✓ Trouser" in line for line in lines)


async def test_the_log_shows_alerts_and_printed_lines_as_harmless_text(
    open_dashboard: OpenDashboard, run: FakeTraining, app_state: AppState
) -> None:
    app_state.printed.append("a library prints \x1b[2J[red]this")
    run.events.append(Alert(0.0, "warning", "the disk is nearly full"))
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        log = "\n".join(line.text for line in dashboard.screen.query_one(LogPane).lines)
        assert "the disk is nearly full" in log
        assert "[red]this" in log and "\x1b" not in log


async def test_v_shows_the_views_of_a_narrow_terminal_in_turn(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("train", size=(80, 24)) as (dashboard, pilot):
        assert dashboard.screen.query_one(NextRunPane).region.area
        dashboard.show_run(RunFeed.open(make_run(app_state.runs_dir)))
        await wait_until(pilot, lambda: not dashboard.screen.query_one(NextRunPane).region.area)
        names = ("#settings", "#charts", "#model", "#log")
        panes = await panes_by_view(dashboard, pilot, names)
        assert panes == ["#settings", "#charts", "#model", "#log"]


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (100, 20), (60, 16)])
async def test_the_screen_opens_at_any_size(
    open_dashboard: OpenDashboard, run: FakeTraining, size: tuple[int, int]
) -> None:
    async with open_dashboard("train", size=size) as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        assert dashboard.screen.query_one("#panes").region.area


async def test_a_tiny_terminal_shows_only_that_it_is_too_small(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train", size=(20, 5)) as (dashboard, pilot):
        await pilot.pause()
        assert not dashboard.screen.query_one("#panes").region.area
        assert dashboard.screen.query_one("#too-small").region.area


async def test_r_changes_how_images_are_drawn(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    async with open_dashboard("train") as (_, pilot):
        before = app_state.renderer
        await pilot.press("r")
        assert app_state.renderer != before


@pytest.mark.parametrize(
    ("keys", "leaving", "code"),
    [
        (("q", "s"), QuitMode.STOP, 0),
        (("q", "d"), QuitMode.DETACH, 0),
        (("d",), QuitMode.DETACH, 0),
        (("ctrl+c", "ctrl+c"), QuitMode.STOP, 130),
    ],
)
async def test_quitting_during_a_run_asks_what_happens_to_it(
    open_dashboard: OpenDashboard,
    run: FakeTraining,
    app_state: AppState,
    keys: tuple[str, ...],
    leaving: QuitMode,
    code: int,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        await pilot.press(*keys)
        await pilot.pause()
    assert (app_state.quit_mode, app_state.exit_code, dashboard.return_value) == (
        leaving,
        code,
        code,
    )


@pytest.mark.parametrize(
    ("keys", "mode"), [("qd", QuitMode.DETACH), ("d", QuitMode.DETACH), ("qs", QuitMode.STOP)]
)
async def test_ctrl_c_in_the_dialog_about_jobs_does_with_the_run_what_was_chosen(
    open_dashboard: OpenDashboard,
    run: FakeTraining,
    app_state: AppState,
    keys: str,
    mode: QuitMode,
) -> None:
    app_state.jobs.append(BackgroundJob("sweep", []))
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        await pilot.press(*keys)
        await wait_until(
            pilot,
            lambda: (
                isinstance(dashboard.screen, QuitDialog)
                and "jobs" in str(dashboard.screen.query_one(Vertical).border_title).lower()
            ),
        )
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert (app_state.quit_mode, app_state.exit_code) == (mode, 130)


@pytest.mark.parametrize("key", ["x", "escape"])
async def test_quitting_can_be_cancelled(
    open_dashboard: OpenDashboard, run: FakeTraining, key: str
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        await pilot.press("q")
        assert len(dashboard.screen_stack) == 2
        await pilot.press(key)
        assert len(dashboard.screen_stack) == 1 and dashboard.is_running


async def test_ctrl_c_in_a_dialog_asks_what_happens_to_the_run(
    open_dashboard: OpenDashboard, run: FakeTraining, app_state: AppState
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        dashboard.push_screen(ChoiceDialog("Delete it?", "", [Choice("y", "yes")]))
        await pilot.pause()
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert isinstance(dashboard.screen, QuitDialog) and dashboard.is_running
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert (app_state.quit_mode, app_state.exit_code) == (QuitMode.STOP, 130)


async def test_a_recipe_of_the_palette_fills_the_visible_form(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.pause()
        dashboard.edit_recipe("split-50k-10k")
        assert dashboard.app_state.draft is None
        screen = dashboard.screen
        assert isinstance(screen, TrainScreen)
        assert screen.draft.values["epochs"] == 10


async def test_a_run_of_the_past_is_shown_from_its_events(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    folder = make_run(app_state.runs_dir)
    app_state.feed = RunFeed.open(folder)
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.pause()
        assert "finished" in text_of(dashboard, RunProgress)


async def test_a_resumed_run_keeps_its_history(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir, epochs=3, ended=False, splits=())
    training = FakeTraining(CONFIG)
    training.folder = folder
    app_state.feed = RunFeed.open(folder)
    monkeypatch.setattr(app_state.session, "resume", lambda *_: training)
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.press("u")
        await wait_until(pilot, lambda: "preparing" in dashboard.status_line().plain)
        assert "94.6 % val" in dashboard.status_line().plain
        started = app_state.feed.state.started
        assert started is not None
        training.events.append(dataclasses.replace(started, step=40))
        await wait_for_events(dashboard, pilot, training)
        steps = [step for step, _ in app_state.feed.state.series("train_loss")]
        assert steps == list(range(1, 41))
        assert app_state.feed.state.best == app_state.feed.state.epochs[1]
        dashboard.show("evaluate")
        await wait_until(pilot, lambda: "evaluate best @ step" in notice(dashboard))
        training.finish()


async def test_after_the_gpu_has_failed_a_run_is_resumed_in_a_process_of_its_own(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir, epochs=2, ended=False)
    app_state.feed = feed = RunFeed.open(folder)
    assert feed.config is not None
    # one that the user has changed since
    feed.config = feed.config.changed(device="auto", epochs=9)
    monkeypatch.setattr(failures, "_failed", [failures.GpuFailed("CUDA error: a fault")])
    resumed: list[list[str]] = []

    def resume(words: list[str], *_: object) -> NoReturn:
        resumed.append(words)
        raise UserError("it does not train")

    monkeypatch.setattr(apart, "DetachedTraining", resume)
    async with open_dashboard("train") as (dashboard, pilot):
        await pilot.pause()
        assert "u goes on in a new process" in " ".join(text_of(dashboard, RunProgress).split())
        await pilot.press("u")
        await wait_until(pilot, lambda: bool(resumed))
    assert f"--resume={folder.path}" in resumed[0] and "--epochs=9" in resumed[0]


async def test_hidden_panes_are_complete_when_they_are_shown(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train", size=(80, 24)) as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        run.events.append(Alert(0.0, "note", "a line that needs more than twenty cells"))
        await wait_for_events(dashboard, pilot, run)
        heat, log = dashboard.screen.query_one(ConfusionHeat), dashboard.screen.query_one(LogPane)
        await pilot.press("v")
        await wait_until(pilot, lambda: heat.region.width > 20)
        assert heat.region.right <= 80
        await pilot.press("v")
        await wait_until(pilot, lambda: any("more than twenty cells" in x.text for x in log.lines))
        assert sum("a line that needs" in line.text for line in log.lines) == 1


async def test_lines_logged_while_the_log_is_hidden_are_not_wrapped_at_its_least_width(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train", size=(80, 24)) as (dashboard, pilot):
        await wait_for_events(dashboard, pilot, run)
        log = dashboard.screen.query_one(LogPane)
        await pilot.press("v", "v")
        await wait_until(pilot, lambda: bool(log.region))
        await pilot.press("v")
        await wait_until(pilot, lambda: not log.region)
        run.events.append(Alert(0.0, "note", "a line that needs more than twenty cells"))
        await wait_until(pilot, lambda: any("a line" in line.text for line in log.lines))
        await pilot.press("v", "v", "v")
        await wait_until(pilot, lambda: any("more than twenty cells" in x.text for x in log.lines))
        assert sum("a line" in line.text for line in log.lines) == 1

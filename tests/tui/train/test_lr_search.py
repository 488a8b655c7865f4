"""The search for a learning rate with the settings of the form: every key, with fake searches."""

from __future__ import annotations

import math

import pytest

from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import FAILED, STOPPED, RunEnded
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.screens.train.progress import RunProgress
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import START, make_run, record_toasts, wait_until
from tests.tui.train.support import (
    STEPS_OF_SEARCH,
    SUGGESTED,
    FakeTraining,
    finish_search,
    is_open,
    loss,
    panel,
    probes,
    record_starts,
    screen_of,
    search_events,
    send_events,
    start_search,
    started,
    text_of,
    wait_for_charts,
    wait_for_panel,
)


async def test_l_searches_with_the_settings_of_the_form(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen_of(dashboard).draft.set("batch_size", "32")
        training = await start_search(dashboard, pilot, searches)
        assert training.config.batch_size == 32
        assert (
            dashboard.app_state.feed is not None and dashboard.app_state.feed.training is training
        )
        await wait_for_panel(dashboard, pilot)
        assert "waiting for the first step" in text_of(dashboard)
        assert dashboard.focused is panel(dashboard).curve
        assert not dashboard.screen.query_one("#charts").region.area


async def test_progress_and_time_left_are_shown_during_a_search(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(20))
        assert "step 20 of 80" in text_of(dashboard) and "0:06 left" in text_of(dashboard)
        assert "escape cancels it" in text_of(dashboard)
        progress = dashboard.screen.query_one(RunProgress)
        drawn = "\n".join(progress.render_line(y).text for y in range(progress.size.height))
        assert "search" in drawn and "25 %" in drawn and "epoch" not in drawn
        assert (
            "25 %" in dashboard.status_line().plain and "ep " not in dashboard.status_line().plain
        )


async def test_the_curve_has_marks_and_the_suggested_point(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        assert f"lr {SUGGESTED}" in text_of(dashboard) and "falls fastest here" in text_of(
            dashboard
        )
        curve = panel(dashboard).curve
        drawn = [curve.render_line(y).text for y in range(curve.size.height)]
        assert "loss" in drawn[0] and "smoothed" in drawn[0]
        marks = drawn[1]
        assert marks.index("[") < marks.index("S") < marks.index("]")
        assert sum("│" in line[10:-3] for line in drawn) > 3, "a line at the chosen point"
        assert "S suggested" in drawn[-1] and "] lowest loss" in drawn[-1]
        assert any("1e-6" in line for line in drawn)


async def test_arrows_move_the_point_and_home_restores_the_suggestion(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        factor = 10 ** (7 / (STEPS_OF_SEARCH - 1))
        await pilot.press("right")
        assert panel(dashboard).lr == pytest.approx(SUGGESTED * factor, rel=0.05)
        assert f"suggested: S {SUGGESTED}" in text_of(dashboard)
        await pilot.press("left", "left")
        assert panel(dashboard).lr == pytest.approx(SUGGESTED / factor, rel=0.05)
        await pilot.press("shift+right")
        assert panel(dashboard).lr == pytest.approx(SUGGESTED * factor**9, rel=0.05)
        await pilot.press("shift+left", "shift+left")
        assert panel(dashboard).lr == pytest.approx(SUGGESTED / factor**11, rel=0.05)
        await pilot.press("home")
        assert panel(dashboard).lr == SUGGESTED
        for _ in range(12):
            await pilot.press("shift+left")
        assert panel(dashboard).lr == 1e-6
        assert f"loss {loss(1e-6):.4g}" in text_of(dashboard)


async def test_a_click_chooses_the_nearest_point(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        chart = panel(dashboard).curve._chart
        assert chart is not None
        await pilot.click(panel(dashboard).curve, offset=(chart.column(-4), chart.top + 3))
        lr = panel(dashboard).lr
        assert lr is not None and abs(math.log10(lr) + 4) < 0.15


async def test_enter_puts_the_rate_into_the_form_and_then_starts_the_run(
    open_dashboard: OpenDashboard, searches: list[FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        screen.draft.set("epochs", "7")
        await finish_search(dashboard, pilot, searches)
        configs = record_starts(dashboard, monkeypatch)
        await pilot.press("right", "left", "enter")
        assert (screen.draft.values["lr"], screen.draft.values["epochs"]) == (SUGGESTED, 7)
        assert screen.query_one(Form).fields.field == "lr"
        assert f"lr {SUGGESTED} is in the settings" in text_of(dashboard) and not configs
        await pilot.press("enter")
        assert [(config.lr, config.epochs) for config in configs] == [(SUGGESTED, 7)]
        await pilot.press("space")
        assert len(configs) == 2


async def test_a_moved_point_has_to_be_used_again(
    open_dashboard: OpenDashboard, searches: list[FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        configs = record_starts(dashboard, monkeypatch)
        await pilot.press("enter", "shift+right", "enter")
        assert not configs
        assert screen_of(dashboard).draft.values["lr"] == panel(dashboard).lr != SUGGESTED


async def test_escape_restores_what_was_shown_before(
    open_dashboard: OpenDashboard, searches: list[FakeTraining], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with open_dashboard("train") as (dashboard, pilot):
        values = dict(screen_of(dashboard).draft.values)
        await finish_search(dashboard, pilot, searches)
        await pilot.press("right", "escape")
        await pilot.pause()
        assert app_state.feed is before
        await wait_for_charts(dashboard, pilot)
        assert screen_of(dashboard).draft.values == values
        assert dashboard.screen.query_one("#charts").region.area
        assert dashboard.focused is dashboard.screen.query_one(Form).fields


async def test_escape_cancels_a_search_in_progress(
    open_dashboard: OpenDashboard, searches: list[FakeTraining], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(20))
        await pilot.press("escape")
        assert [type(command) for command in training.commands] == [Stop]
        assert app_state.feed is not before, "it is shown until the run has ended"
        training.finish()
        await send_events(
            dashboard, pilot, training, RunEnded(START, 0, 0, STOPPED, 1.0, "cancelled")
        )
        assert app_state.feed is before
        await wait_for_charts(dashboard, pilot)


async def test_after_two_searches_escape_shows_the_run_before_both(
    open_dashboard: OpenDashboard, searches: list[FakeTraining], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with open_dashboard("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        await finish_search(dashboard, pilot, searches)
        assert len(searches) == 2
        await pilot.press("escape")
        assert app_state.feed is before


async def test_without_a_suggestion_a_point_can_still_be_chosen(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        training.finish()
        await send_events(dashboard, pilot, training, *search_events(flat=True))
        assert "✗ the loss never falls" in text_of(dashboard) and "enter" not in text_of(dashboard)
        before = screen_of(dashboard).draft.values["lr"]
        await pilot.press("enter")
        assert screen_of(dashboard).draft.values["lr"] == before
        await pilot.press("right", "enter")
        assert screen_of(dashboard).draft.values["lr"] == panel(dashboard).lr


async def test_the_panel_shows_why_a_search_did_not_start(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        training.finish(UserError("40 training images are too few"))
        await wait_until(pilot, lambda: "too few" in text_of(dashboard))
        await pilot.press("escape")
        await wait_until(pilot, lambda: not is_open(dashboard))
        assert dashboard.app_state.feed is None


async def test_the_panel_shows_why_a_search_failed(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        training.finish()
        failed = RunEnded(START, 0, 0, FAILED, 1.0, "the GPU has too little memory")
        await send_events(dashboard, pilot, training, started(), *probes(5), failed)
        assert "✗ the GPU has too little memory" in text_of(dashboard)


async def test_an_invalid_setting_prevents_a_search(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen_of(dashboard).draft.set("epochs", "0")
        await pilot.press("l")
        assert not searches and not is_open(dashboard)
        assert screen_of(dashboard).query_one(Form).fields.field == "epochs"


async def test_keys_of_a_training_do_nothing_in_a_search(
    open_dashboard: OpenDashboard,
    searches: list[FakeTraining],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(5))
        await pilot.press("space", "c", "left_square_bracket", "right_square_bracket", "enter", "u")
        assert not training.commands
        await pilot.press("l")
        assert len(searches) == 1
        await wait_for_panel(dashboard, pilot)
        toasts = record_toasts(monkeypatch)
        await pilot.press("s")
        assert [type(command) for command in training.commands] == [Stop]
        assert toasts == ["stopping"]  # no checkpoint is saved


async def test_other_screens_can_be_shown_during_a_search(
    open_dashboard: OpenDashboard, searches: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(5))
        await pilot.press("3")
        assert isinstance(dashboard.screen, EvaluateScreen)
        training.finish()
        await send_events(dashboard, pilot, training, *search_events()[6:])
        await pilot.press("2")
        await wait_until(pilot, lambda: "falls fastest" in text_of(dashboard))
        await wait_for_panel(dashboard, pilot)


@pytest.mark.parametrize("key", ["q", "d"])
async def test_quitting_ends_a_search_without_a_question(
    open_dashboard: OpenDashboard, searches: list[FakeTraining], app_state: AppState, key: str
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(5))
        await pilot.press(key)
        await pilot.pause()
        assert dashboard.is_running == (key == "d")
    assert app_state.quit_mode is QuitMode.STOP

"""The search for a learning rate on Train: every key, with scripted searches."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import (
    CancelSearch,
    FindLearningRate,
    SetLearningRate,
    Stop,
)
from fmnist_tui.protocol.events import (
    EVENTS,
    FAILED,
    FINISHED,
    LRFIND,
    STOPPED,
    Event,
    LrProbed,
    LrSearched,
    RunEnded,
    RunStarted,
)
from fmnist_tui.protocol.lr_curve import RateRange, suggest_rate
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.screens.train.log import LogPane
from fmnist_tui.tui.screens.train.lr_panel import LrPanel
from fmnist_tui.tui.screens.train.progress import RunProgress
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import Opened
from tests.tui.scripted import CONFIG, START, STEPS, events, make_run, settled
from tests.tui.train.support import FakeTraining

STEPS_OF_SEARCH = 80
SUGGESTED = 0.0029


def loss(lr: float) -> float:
    """A loss that falls around 3e-3 and explodes beyond 1."""
    x = math.log10(lr)
    return 0.6 + 1.7 / (1 + math.exp(8 * (x + 2.5))) + 10 ** (3 * (x - 0.3))


def probes(count: int = STEPS_OF_SEARCH, *, step: int = 0, flat: bool = False) -> list[LrProbed]:
    rates = RateRange(steps=STEPS_OF_SEARCH)
    return [
        LrProbed(
            START + 100 + number / 10,
            step,
            number + 1,
            STEPS_OF_SEARCH,
            rates.rate_at(number),
            2.3 if flat else loss(rates.rate_at(number)),
        )
        for number in range(count)
    ]


def result_of(probes: list[LrProbed]) -> LrSearched:
    """The result of a search with these probes."""
    found, last = suggest_rate([(probe.lr, probe.loss) for probe in probes]), probes[-1]
    return LrSearched(last.t, last.step, FINISHED, found.lr, found.low, found.high, found.message)


def started(config: RunConfig = CONFIG) -> RunStarted:
    first = next(iter(events(config)))
    assert isinstance(first, RunStarted)
    return dataclasses.replace(first, kind=LRFIND, epochs=1, steps_per_epoch=STEPS_OF_SEARCH)


def search_events(*, flat: bool = False, config: RunConfig = CONFIG) -> list[Event]:
    """All events of a run that is only a search."""
    probed = probes(flat=flat)
    end = result_of(probed)
    return [
        started(config),
        *probed,
        end,
        RunEnded(end.t, 0, 0, FINISHED, 20.0, format_search_result(end)),
    ]


@pytest.fixture
def searches(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeTraining]]:
    """The searches that are started, in place of the session's own."""
    started: list[FakeTraining] = []

    def lrfind(config: RunConfig) -> Training:
        started.append(FakeTraining(config, RateRange()))
        return started[-1]

    monkeypatch.setattr(app_state.session, "find_lr", lrfind)
    yield started
    for training in started:
        training.finish()


@pytest.fixture
def run(app_state: AppState) -> Iterator[FakeTraining]:
    """A training in progress, half-way through."""
    training = FakeTraining()
    training.events.extend(events(epochs=2, ended=False))
    app_state.feed = RunFeed.of(training)
    yield training
    training.finish()


def record_starts(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The configs of the runs that are started from now on; none really is."""
    configs: list[RunConfig] = []

    def start(config: RunConfig) -> bool:
        configs.append(config)
        return False

    monkeypatch.setattr(dashboard, "start_run", start)
    return configs


def panel(dashboard: Dashboard) -> LrPanel:
    return dashboard.screen.query_one(LrPanel)


def screen_of(dashboard: Dashboard) -> TrainScreen:
    assert isinstance(dashboard.screen, TrainScreen)
    return dashboard.screen


def is_open(dashboard: Dashboard) -> bool:
    return bool(panel(dashboard).region.area)


async def wait_for_panel(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    """Wait for the layout with the panel."""
    await settled(pilot, lambda: is_open(dashboard))


async def wait_for_charts(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    await settled(pilot, lambda: not is_open(dashboard))
    await settled(pilot, lambda: bool(dashboard.screen.query_one("#charts").region.area))


def text_of(dashboard: Dashboard) -> str:
    return panel(dashboard).text


async def send_events(
    dashboard: Dashboard, pilot: Pilot[int], training: FakeTraining, *more: Event
) -> None:
    """Append events to a training and wait until the screen has handled them."""
    training.events.extend(more)
    await settled(pilot, lambda: not training.events)
    await pilot.pause(0.05)


async def start_search(
    dashboard: Dashboard, pilot: Pilot[int], searches: list[FakeTraining]
) -> FakeTraining:
    """Start a search by key, with the settings of the form."""
    await pilot.press("l")
    await pilot.pause()
    return searches[-1]


async def finish_search(
    dashboard: Dashboard, pilot: Pilot[int], searches: list[FakeTraining]
) -> FakeTraining:
    """Start a search by key and let it finish."""
    training = await start_search(dashboard, pilot, searches)
    training.finish()
    await send_events(dashboard, pilot, training, *search_events())
    return training


# -- without a run --------------------------------------------------------------------


async def test_l_searches_with_the_settings_of_the_form(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
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
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
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
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        assert f"lr {SUGGESTED}" in text_of(dashboard) and "falls fastest here" in text_of(
            dashboard
        )
        curve = panel(dashboard).curve
        drawn = [curve.render_line(y).text for y in range(curve.size.height)]
        assert "loss" in drawn[0] and "smoothed" in drawn[0]
        marks = drawn[2]
        assert marks.index("[") < marks.index("S") < marks.index("]")
        assert sum("│" in line[10:-3] for line in drawn) > 3, "a line at the chosen point"
        assert any("1e-6" in line for line in drawn)


async def test_arrows_move_the_point_and_home_restores_the_suggestion(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
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
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        chart = panel(dashboard).curve._chart
        assert chart is not None
        await pilot.click(panel(dashboard).curve, offset=(chart.column(-4), chart.top + 3))
        lr = panel(dashboard).lr
        assert lr is not None and abs(math.log10(lr) + 4) < 0.15


async def test_enter_puts_the_rate_into_the_form_and_then_starts_the_run(
    opened: Opened, searches: list[FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("train") as (dashboard, pilot):
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
    opened: Opened, searches: list[FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        configs = record_starts(dashboard, monkeypatch)
        await pilot.press("enter", "shift+right", "enter")
        assert not configs
        assert screen_of(dashboard).draft.values["lr"] == panel(dashboard).lr != SUGGESTED


async def test_escape_restores_what_was_shown_before(
    opened: Opened, searches: list[FakeTraining], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with opened("train") as (dashboard, pilot):
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
    opened: Opened, searches: list[FakeTraining], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with opened("train") as (dashboard, pilot):
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
    opened: Opened, searches: list[FakeTraining], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with opened("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        await finish_search(dashboard, pilot, searches)
        assert len(searches) == 2
        await pilot.press("escape")
        assert app_state.feed is before


async def test_without_a_suggestion_a_point_can_still_be_chosen(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        training.finish()
        await send_events(dashboard, pilot, training, *search_events(flat=True))
        assert "✗ the loss never falls" in text_of(dashboard) and "enter" not in text_of(dashboard)
        before = screen_of(dashboard).draft.values["lr"]
        await pilot.press("enter")
        assert screen_of(dashboard).draft.values["lr"] == before
        await pilot.press("right", "enter")
        assert screen_of(dashboard).draft.values["lr"] == panel(dashboard).lr


async def test_the_panel_says_why_a_search_did_not_start(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        training.finish(UserError("40 training images are too few"))
        await settled(pilot, lambda: "too few" in text_of(dashboard))
        await pilot.press("escape")
        await settled(pilot, lambda: not is_open(dashboard))
        assert dashboard.app_state.feed is None


async def test_the_panel_says_why_a_search_failed(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        training.finish()
        failed = RunEnded(START, 0, 0, FAILED, 1.0, "the GPU has too little memory")
        await send_events(dashboard, pilot, training, started(), *probes(5), failed)
        assert "✗ the GPU has too little memory" in text_of(dashboard)


async def test_an_invalid_setting_prevents_a_search(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        screen_of(dashboard).draft.set("epochs", "0")
        await pilot.press("l")
        assert not searches and not is_open(dashboard)
        assert screen_of(dashboard).query_one(Form).fields.field == "epochs"


async def test_keys_of_a_training_do_nothing_in_a_search(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(5))
        await pilot.press("space", "c", "left_square_bracket", "right_square_bracket", "enter", "u")
        assert not training.commands
        await pilot.press("l")
        assert len(searches) == 1
        await wait_for_panel(dashboard, pilot)
        await pilot.press("s")
        assert [type(command) for command in training.commands] == [Stop]


async def test_other_screens_can_be_shown_during_a_search(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(5))
        await pilot.press("3")
        assert isinstance(dashboard.screen, EvaluateScreen)
        training.finish()
        await send_events(dashboard, pilot, training, *search_events()[6:])
        await pilot.press("2")
        await settled(pilot, lambda: "falls fastest" in text_of(dashboard))
        await wait_for_panel(dashboard, pilot)


@pytest.mark.parametrize("key", ["q", "d"])
async def test_quitting_ends_a_search_without_a_question(
    opened: Opened, searches: list[FakeTraining], app_state: AppState, key: str
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await start_search(dashboard, pilot, searches)
        await send_events(dashboard, pilot, training, started(), *probes(5))
        await pilot.press(key)
        await pilot.pause()
        assert dashboard.is_running == (key == "d")
    assert app_state.quit_mode is QuitMode.STOP


# -- with a run in progress ---------------------------------------------------------------------


async def test_l_searches_in_a_live_run(opened: Opened, run: FakeTraining) -> None:
    async with opened("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        command = run.commands[0]
        assert isinstance(command, FindLearningRate)
        assert (command.low, command.high, command.steps) == (1e-6, 10.0, 160)
        await wait_for_panel(dashboard, pilot)
        assert "waiting" in text_of(dashboard)
        await send_events(dashboard, pilot, run, *probes(20, step=2 * STEPS))
        assert "step 20 of 80" in text_of(dashboard)
        await pilot.press("l")
        assert len(run.commands) == 1, "one search at a time"


async def test_enter_sends_the_rate_to_the_live_run(opened: Opened, run: FakeTraining) -> None:
    async with opened("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        all_of_them = probes(step=2 * STEPS)
        await send_events(dashboard, pilot, run, *all_of_them, result_of(all_of_them))
        assert "enter sends it to the run" in text_of(dashboard)
        await pilot.press("enter")
        command = run.commands[-1]
        assert isinstance(command, SetLearningRate) and command.lr == SUGGESTED
        await pilot.pause()
        await wait_for_charts(dashboard, pilot)
        log = "\n".join(line.text for line in dashboard.screen.query_one(LogPane).lines)
        assert f"learning rate: suggests lr {SUGGESTED}" in log


async def test_a_schedule_that_will_raise_the_rate_is_mentioned(opened: Opened) -> None:
    config = CONFIG.changed(schedule="onecycle", warmup=0.5)
    training = FakeTraining(config)
    training.events.extend(events(config, epochs=1, ended=False))
    async with opened("train") as (dashboard, pilot):
        dashboard.show_run(RunFeed.of(training))
        await send_events(dashboard, pilot, training)
        await pilot.press("l")
        all_of_them = probes(step=STEPS)
        await send_events(dashboard, pilot, training, *all_of_them, result_of(all_of_them))
        assert "from there the schedule rises to 0.0057" in text_of(dashboard)
        training.finish()


async def test_escape_cancels_the_search_and_not_the_run(opened: Opened, run: FakeTraining) -> None:
    async with opened("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        await send_events(dashboard, pilot, run, *probes(5, step=2 * STEPS))
        await pilot.press("escape")
        await pilot.pause()
        assert [type(command) for command in run.commands] == [FindLearningRate, CancelSearch]
        await wait_for_charts(dashboard, pilot)


async def test_escape_after_the_search_sends_nothing(opened: Opened, run: FakeTraining) -> None:
    async with opened("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        all_of_them = probes(step=2 * STEPS)
        await send_events(dashboard, pilot, run, *all_of_them, result_of(all_of_them))
        await pilot.press("escape")
        assert [type(command) for command in run.commands] == [FindLearningRate]
        await wait_for_charts(dashboard, pilot)


async def test_a_second_search_does_not_show_the_first(opened: Opened, run: FakeTraining) -> None:
    async with opened("train") as (dashboard, pilot):
        all_of_them = probes(step=2 * STEPS)
        await send_events(dashboard, pilot, run, *all_of_them, result_of(all_of_them))
        assert not is_open(dashboard), "a search that was not started here opens no panel"
        await pilot.press("l")
        await send_events(dashboard, pilot, run)
        assert "waiting" in text_of(dashboard)


async def test_a_run_that_ends_before_its_search_is_reported(
    opened: Opened, run: FakeTraining
) -> None:
    async with opened("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        run.finish()
        await send_events(dashboard, pilot, run, RunEnded(START + 500, 40, 2, FINISHED, 9.0))
        assert "the run ended before the search did" in text_of(dashboard)
        await pilot.press("escape")
        await wait_for_charts(dashboard, pilot)


async def test_the_panel_says_why_a_live_search_failed(opened: Opened, run: FakeTraining) -> None:
    async with opened("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        failed = LrSearched(START + 200, 40, FAILED, message="10 training images are too few")
        await send_events(dashboard, pilot, run, failed)
        assert "10 training images are too few" in text_of(dashboard)


# -- from the list of runs -----------------------------------------------------------------------


def save_search(app_state: AppState, config: RunConfig) -> RunFolder:
    """The folder of a finished search."""
    folder = RunFolder.create(app_state.runs_dir, "tiny-lrfind", config.dataset)
    folder.config.write_text(recipes.to_toml(config, {"version": "0"}))
    folder.events.write_text("".join(EVENTS.encode(event) + "\n" for event in search_events()))
    return folder


async def test_a_search_opened_from_runs_shows_its_curve_and_settings(
    opened: Opened, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    folder = save_search(app_state, CONFIG.changed(optimizer="sgd"))
    async with opened("runs") as (dashboard, pilot):
        table = dashboard.screen.query_one("LineTable")
        await settled(pilot, lambda: getattr(table, "row_count", 0) == 2)
        lines = [table.get_row_at(row)[0].plain for row in range(2)]  # type: ignore[attr-defined]
        row = next(row for row, line in enumerate(lines) if "lrfind" in line)
        assert "%" not in lines[row] and "–" in lines[row]
        table.move_cursor(row=row)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await settled(
            pilot, lambda: isinstance(dashboard.screen, TrainScreen) and is_open(dashboard)
        )
        await settled(pilot, lambda: "falls fastest" in text_of(dashboard))
        assert app_state.selected_run != folder, "a search cannot be evaluated"
        await pilot.press("enter")
        values = screen_of(dashboard).draft.values
        assert (values["optimizer"], values["lr"]) == ("sgd", SUGGESTED)
        assert dashboard.focused is panel(dashboard).curve
        await pilot.press("escape")
        assert app_state.feed is None
        await wait_for_charts(dashboard, pilot)


async def test_evaluate_says_that_a_search_has_no_predictions(
    opened: Opened, app_state: AppState
) -> None:
    app_state.selected_run = save_search(app_state, CONFIG)
    async with opened("evaluate") as (dashboard, pilot):

        def text() -> str:
            return "\n".join(
                str(getattr(widget, "content", "")) for widget in dashboard.screen.query("Static")
            )

        await settled(pilot, lambda: "learning-rate search" in text())


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60), (60, 16)])
async def test_the_panel_fits_at_any_size(
    opened: Opened, searches: list[FakeTraining], size: tuple[int, int]
) -> None:
    async with opened("train", size=size) as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        await wait_for_panel(dashboard, pilot)
        assert (
            panel(dashboard).region.right <= size[0] and panel(dashboard).region.bottom <= size[1]
        )
        text = panel(dashboard).query_one("LrText")
        drawn = "\n".join(text.render_line(y).text for y in range(text.size.height))
        assert f"lr {SUGGESTED}" in drawn and "enter uses it" in drawn
        if size[1] > 16:
            assert panel(dashboard).curve._chart is not None


@pytest.mark.parametrize(("size", "focused"), [((80, 24), "loss"), ((120, 36), None)])
async def test_after_a_search_the_focus_is_visible(
    opened: Opened, run: FakeTraining, size: tuple[int, int], focused: str | None
) -> None:
    async with opened("train", size=size) as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        await send_events(dashboard, pilot, run, *probes(5, step=2 * STEPS))
        await pilot.press("escape")
        await pilot.pause()
        assert dashboard.focused is not None
        assert dashboard.focused.id == focused and dashboard.focused.region.area


async def test_v_shows_the_other_views_from_a_search(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train", size=(80, 24)) as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        seen = []
        for _ in range(4):
            seen.append(
                [name for name in ("#settings", "LrPanel", "#model", "#log")
                 if dashboard.screen.query_one(name).region.area]
            )  # fmt: skip
            await pilot.press("v")
            await pilot.pause()
        assert seen == [["LrPanel"], ["#model"], ["#log"], ["#settings"]]


async def test_hovering_shows_the_values_of_the_curve(
    opened: Opened, searches: list[FakeTraining]
) -> None:
    async with opened("train") as (dashboard, pilot):
        await finish_search(dashboard, pilot, searches)
        curve = panel(dashboard).curve
        assert curve._chart is not None
        await pilot.hover(curve, offset=(curve._chart.column(-3), curve._chart.top + 2))
        assert "lr 0.0009" in curve.reading and "smoothed" in curve.reading

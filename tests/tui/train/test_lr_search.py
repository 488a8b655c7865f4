"""The search for a learning rate on Train: every key, with searches that are scripted."""

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
    Command,
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
from fmnist_tui.tui.screens.train.progress import RunProgress, wrapped
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import Opened
from tests.tui.scripted import CONFIG, START, STEPS, events, make_run, settled

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
            START + 100 + place / 10,
            step,
            place + 1,
            STEPS_OF_SEARCH,
            rates.rate_at(place),
            2.3 if flat else loss(rates.rate_at(place)),
        )
        for place in range(count)
    ]


def searched(found: list[LrProbed]) -> LrSearched:
    """What comes of these probes."""
    said = suggest_rate([(probe.lr, probe.loss) for probe in found])
    return LrSearched(
        found[-1].t, found[-1].step, FINISHED, said.lr, said.low, said.high, said.message
    )


def started(config: RunConfig = CONFIG) -> RunStarted:
    first = next(iter(events(config)))
    assert isinstance(first, RunStarted)
    return dataclasses.replace(first, kind=LRFIND, epochs=1, steps_per_epoch=STEPS_OF_SEARCH)


def whole(*, flat: bool = False, config: RunConfig = CONFIG) -> list[Event]:
    """All that a run says which only searches."""
    found = probes(flat=flat)
    end = searched(found)
    return [
        started(config),
        *found,
        end,
        RunEnded(end.t, 0, 0, FINISHED, 20.0, format_search_result(end)),
    ]


class Scripted(Training):
    """A run that says what a test wants, and remembers what it is told."""

    def __init__(self, config: RunConfig = CONFIG, rates: RateRange | None = None) -> None:
        super().__init__(config, rate_range=rates)
        self.told: list[Command] = []

    def send(self, command: Command) -> None:
        self.told.append(command)


@pytest.fixture
def searches(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Scripted]]:
    """The searches that are asked for, instead of the session's own."""
    begun: list[Scripted] = []

    def lrfind(config: RunConfig) -> Training:
        begun.append(Scripted(config, RateRange()))
        return begun[-1]

    monkeypatch.setattr(app_state.session, "find_lr", lrfind)
    yield begun
    for training in begun:
        training.finish()


@pytest.fixture
def run(app_state: AppState) -> Iterator[Scripted]:
    """A training that goes on, half-way through."""
    training = Scripted()
    training.events.extend(events(epochs=2, ended=False))
    app_state.feed = RunFeed.of(training)
    yield training
    training.finish()


def called(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """With which configs a run is to be started from now on; none is."""
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


async def opens(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    """Wait for the layout to have been done with the panel in it."""
    await settled(pilot, lambda: is_open(dashboard))


async def closes(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    await settled(pilot, lambda: not is_open(dashboard))
    await settled(pilot, lambda: bool(dashboard.screen.query_one("#charts").region.area))


def said(dashboard: Dashboard) -> str:
    return panel(dashboard).said


async def heard(dashboard: Dashboard, pilot: Pilot[int], training: Scripted, *more: Event) -> None:
    """The training says these things, and the screen has taken them in."""
    training.events.extend(more)
    await settled(pilot, lambda: not training.events)
    await pilot.pause(0.05)


async def begun(dashboard: Dashboard, pilot: Pilot[int], searches: list[Scripted]) -> Scripted:
    """A search by key, with the settings as they stand."""
    await pilot.press("l")
    await pilot.pause()
    return searches[-1]


async def found(dashboard: Dashboard, pilot: Pilot[int], searches: list[Scripted]) -> Scripted:
    """The same, to its end."""
    training = await begun(dashboard, pilot, searches)
    training.finish()
    await heard(dashboard, pilot, training, *whole())
    return training


# -- with no run going --------------------------------------------------------------------


async def test_l_searches_with_the_settings_of_the_form(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        screen_of(dashboard).draft.set("batch_size", "32")
        training = await begun(dashboard, pilot, searches)
        assert training.config.batch_size == 32
        assert (
            dashboard.app_state.feed is not None and dashboard.app_state.feed.training is training
        )
        await opens(dashboard, pilot)
        assert "waiting for the first step" in said(dashboard)
        assert dashboard.focused is panel(dashboard).curve
        assert not dashboard.screen.query_one("#charts").region.area


async def test_progress_and_time_left_are_told_while_it_searches(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        await heard(dashboard, pilot, training, started(), *probes(20))
        assert "step 20 of 80" in said(dashboard) and "0:06 left" in said(dashboard)
        assert "escape gives it up" in said(dashboard)
        progress = dashboard.screen.query_one(RunProgress)
        drawn = "\n".join(progress.render_line(y).text for y in range(progress.size.height))
        assert "search" in drawn and "25 %" in drawn and "epoch" not in drawn
        assert (
            "25 %" in dashboard.status_line().plain and "ep " not in dashboard.status_line().plain
        )


async def test_the_curve_is_drawn_with_its_marks_and_the_suggested_point(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        assert f"lr {SUGGESTED}" in said(dashboard) and "falls fastest here" in said(dashboard)
        curve = panel(dashboard).curve
        drawn = [curve.render_line(y).text for y in range(curve.size.height)]
        assert "loss" in drawn[0] and "smoothed" in drawn[0]
        marks = drawn[2]
        assert marks.index("[") < marks.index("S") < marks.index("]")
        assert sum("│" in line[10:-3] for line in drawn) > 3, "a line at the chosen point"
        assert any("1e-6" in line for line in drawn)


async def test_the_arrows_move_the_point_and_home_brings_it_back(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        factor = 10 ** (7 / (STEPS_OF_SEARCH - 1))
        await pilot.press("right")
        assert panel(dashboard).lr == pytest.approx(SUGGESTED * factor, rel=0.05)
        assert f"suggested: S {SUGGESTED}" in said(dashboard)
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
        assert f"loss {loss(1e-6):.4g}" in said(dashboard)


async def test_a_click_chooses_the_nearest_point(opened: Opened, searches: list[Scripted]) -> None:
    async with opened("train") as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        chart = panel(dashboard).curve._chart
        assert chart is not None
        await pilot.click(panel(dashboard).curve, offset=(chart.column(-4), chart.top + 3))
        lr = panel(dashboard).lr
        assert lr is not None and abs(math.log10(lr) + 4) < 0.15


async def test_enter_takes_the_rate_into_the_form_and_again_starts_the_run(
    opened: Opened, searches: list[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("train") as (dashboard, pilot):
        screen = screen_of(dashboard)
        screen.draft.set("epochs", "7")
        await found(dashboard, pilot, searches)
        configs = called(dashboard, monkeypatch)
        await pilot.press("right", "left", "enter")
        assert (screen.draft.values["lr"], screen.draft.values["epochs"]) == (SUGGESTED, 7)
        assert screen.query_one(Form).fields.field == "lr"
        assert f"lr {SUGGESTED} is in the settings" in said(dashboard) and not configs
        await pilot.press("enter")
        assert [(config.lr, config.epochs) for config in configs] == [(SUGGESTED, 7)]
        await pilot.press("space")
        assert len(configs) == 2


async def test_a_point_moved_after_it_was_taken_is_to_be_taken_again(
    opened: Opened, searches: list[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("train") as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        configs = called(dashboard, monkeypatch)
        await pilot.press("enter", "shift+right", "enter")
        assert not configs
        assert screen_of(dashboard).draft.values["lr"] == panel(dashboard).lr != SUGGESTED


async def test_escape_leaves_all_as_it_was(
    opened: Opened, searches: list[Scripted], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with opened("train") as (dashboard, pilot):
        values = dict(screen_of(dashboard).draft.values)
        await found(dashboard, pilot, searches)
        await pilot.press("right", "escape")
        await pilot.pause()
        assert app_state.feed is before
        await closes(dashboard, pilot)
        assert screen_of(dashboard).draft.values == values
        assert dashboard.screen.query_one("#charts").region.area
        assert dashboard.focused is dashboard.screen.query_one(Form).fields


async def test_escape_gives_up_a_search_that_goes_on(
    opened: Opened, searches: list[Scripted], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        await heard(dashboard, pilot, training, started(), *probes(20))
        await pilot.press("escape")
        assert [type(command) for command in training.told] == [Stop]
        assert app_state.feed is not before, "until the run has ended it stays on the bench"
        training.finish()
        await heard(dashboard, pilot, training, RunEnded(START, 0, 0, STOPPED, 1.0, "given up"))
        assert app_state.feed is before
        await closes(dashboard, pilot)


async def test_two_searches_in_a_row_lead_back_to_the_run_before_both(
    opened: Opened, searches: list[Scripted], app_state: AppState
) -> None:
    before = app_state.feed = RunFeed.open(make_run(app_state.runs_dir))
    async with opened("train") as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        await found(dashboard, pilot, searches)
        assert len(searches) == 2
        await pilot.press("escape")
        assert app_state.feed is before


async def test_a_loss_that_never_falls_is_told_and_a_point_can_be_chosen_all_the_same(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        training.finish()
        await heard(dashboard, pilot, training, *whole(flat=True))
        assert "✗ the loss never falls" in said(dashboard) and "enter" not in said(dashboard)
        before = screen_of(dashboard).draft.values["lr"]
        await pilot.press("enter")
        assert screen_of(dashboard).draft.values["lr"] == before
        await pilot.press("right", "enter")
        assert screen_of(dashboard).draft.values["lr"] == panel(dashboard).lr


async def test_why_a_search_could_not_begin_is_told_in_the_panel(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        training.finish(UserError("40 training images are too few"))
        await settled(pilot, lambda: "too few" in said(dashboard))
        await pilot.press("escape")
        await settled(pilot, lambda: not is_open(dashboard))
        assert dashboard.app_state.feed is None


async def test_a_search_that_failed_says_why(opened: Opened, searches: list[Scripted]) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        training.finish()
        failed = RunEnded(START, 0, 0, FAILED, 1.0, "the GPU has too little memory")
        await heard(dashboard, pilot, training, started(), *probes(5), failed)
        assert "✗ the GPU has too little memory" in said(dashboard)


async def test_wrong_settings_are_shown_and_nothing_is_searched(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        screen_of(dashboard).draft.set("epochs", "0")
        await pilot.press("l")
        assert not searches and not is_open(dashboard)
        assert screen_of(dashboard).query_one(Form).fields.field == "epochs"


async def test_keys_of_a_training_are_not_those_of_a_search(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        await heard(dashboard, pilot, training, started(), *probes(5))
        await pilot.press("space", "c", "left_square_bracket", "right_square_bracket", "enter", "u")
        assert not training.told
        await pilot.press("l")
        assert len(searches) == 1
        await opens(dashboard, pilot)
        await pilot.press("s")
        assert [type(command) for command in training.told] == [Stop]


async def test_other_screens_can_be_looked_at_meanwhile(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        await heard(dashboard, pilot, training, started(), *probes(5))
        await pilot.press("3")
        assert isinstance(dashboard.screen, EvaluateScreen)
        training.finish()
        await heard(dashboard, pilot, training, *whole()[6:])
        await pilot.press("2")
        await settled(pilot, lambda: "falls fastest" in said(dashboard))
        await opens(dashboard, pilot)


@pytest.mark.parametrize("key", ["q", "d"])
async def test_a_search_is_left_without_a_question_and_is_not_detached(
    opened: Opened, searches: list[Scripted], app_state: AppState, key: str
) -> None:
    async with opened("train") as (dashboard, pilot):
        training = await begun(dashboard, pilot, searches)
        await heard(dashboard, pilot, training, started(), *probes(5))
        await pilot.press(key)
        await pilot.pause()
        assert dashboard.is_running == (key == "d")
    assert app_state.quit_mode is QuitMode.STOP


# -- with a run going ---------------------------------------------------------------------


async def test_l_has_a_live_run_searched(opened: Opened, run: Scripted) -> None:
    async with opened("train") as (dashboard, pilot):
        await heard(dashboard, pilot, run)
        await pilot.press("l")
        asked = run.told[0]
        assert isinstance(asked, FindLearningRate)
        assert (asked.low, asked.high, asked.steps) == (1e-6, 10.0, 160)
        await opens(dashboard, pilot)
        assert "waiting" in said(dashboard)
        await heard(dashboard, pilot, run, *probes(20, step=2 * STEPS))
        assert "step 20 of 80" in said(dashboard)
        await pilot.press("l")
        assert len(run.told) == 1, "one search at a time"


async def test_enter_gives_the_rate_to_the_live_run(opened: Opened, run: Scripted) -> None:
    async with opened("train") as (dashboard, pilot):
        await heard(dashboard, pilot, run)
        await pilot.press("l")
        all_of_them = probes(step=2 * STEPS)
        await heard(dashboard, pilot, run, *all_of_them, searched(all_of_them))
        assert "enter gives it to the run" in said(dashboard)
        await pilot.press("enter")
        given = run.told[-1]
        assert isinstance(given, SetLearningRate) and given.lr == SUGGESTED
        await pilot.pause()
        await closes(dashboard, pilot)
        log = "\n".join(line.text for line in dashboard.screen.query_one(LogPane).lines)
        assert f"learning rate: suggests lr {SUGGESTED}" in log


async def test_a_rising_schedule_is_told_of_before_it_is_given_a_rate(opened: Opened) -> None:
    config = CONFIG.changed(schedule="onecycle", warmup=0.5)
    training = Scripted(config)
    training.events.extend(events(config, epochs=1, ended=False))
    async with opened("train") as (dashboard, pilot):
        dashboard.show_run(RunFeed.of(training))
        await heard(dashboard, pilot, training)
        await pilot.press("l")
        all_of_them = probes(step=STEPS)
        await heard(dashboard, pilot, training, *all_of_them, searched(all_of_them))
        assert "from there the schedule rises to 0.0057" in said(dashboard)
        training.finish()


async def test_escape_gives_up_the_search_and_not_the_run(opened: Opened, run: Scripted) -> None:
    async with opened("train") as (dashboard, pilot):
        await heard(dashboard, pilot, run)
        await pilot.press("l")
        await heard(dashboard, pilot, run, *probes(5, step=2 * STEPS))
        await pilot.press("escape")
        await pilot.pause()
        assert [type(command) for command in run.told] == [FindLearningRate, CancelSearch]
        await closes(dashboard, pilot)


async def test_escape_after_the_search_tells_the_run_nothing(opened: Opened, run: Scripted) -> None:
    async with opened("train") as (dashboard, pilot):
        await heard(dashboard, pilot, run)
        await pilot.press("l")
        all_of_them = probes(step=2 * STEPS)
        await heard(dashboard, pilot, run, *all_of_them, searched(all_of_them))
        await pilot.press("escape")
        assert [type(command) for command in run.told] == [FindLearningRate]
        await closes(dashboard, pilot)


async def test_a_second_search_does_not_show_the_first(opened: Opened, run: Scripted) -> None:
    async with opened("train") as (dashboard, pilot):
        all_of_them = probes(step=2 * STEPS)
        await heard(dashboard, pilot, run, *all_of_them, searched(all_of_them))
        assert not is_open(dashboard), "somebody else's search opens nothing here"
        await pilot.press("l")
        await heard(dashboard, pilot, run)
        assert "waiting" in said(dashboard)


async def test_a_run_that_ends_before_its_search_says_so(opened: Opened, run: Scripted) -> None:
    async with opened("train") as (dashboard, pilot):
        await heard(dashboard, pilot, run)
        await pilot.press("l")
        run.finish()
        await heard(dashboard, pilot, run, RunEnded(START + 500, 40, 2, FINISHED, 9.0))
        assert "it ended before anything was found" in said(dashboard)
        await pilot.press("escape")
        await closes(dashboard, pilot)


async def test_a_refused_search_says_why(opened: Opened, run: Scripted) -> None:
    async with opened("train") as (dashboard, pilot):
        await heard(dashboard, pilot, run)
        await pilot.press("l")
        refused = LrSearched(START + 200, 40, FAILED, message="10 training images are too few")
        await heard(dashboard, pilot, run, refused)
        assert "10 training images are too few" in said(dashboard)


# -- from the shelf -----------------------------------------------------------------------


def kept(app_state: AppState, config: RunConfig) -> RunFolder:
    """A search that is over, as a folder."""
    folder = RunFolder.create(app_state.runs_dir, "tiny-lrfind", config.dataset)
    folder.config.write_text(recipes.to_toml(config, {"version": "0"}))
    folder.events.write_text("".join(EVENTS.encode(event) + "\n" for event in whole()))
    return folder


async def test_a_search_opened_from_runs_shows_its_curve_and_brings_its_settings(
    opened: Opened, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    folder = kept(app_state, CONFIG.changed(optimizer="sgd"))
    async with opened("runs") as (dashboard, pilot):
        table = dashboard.screen.query_one("LineTable")
        await settled(pilot, lambda: getattr(table, "row_count", 0) == 2)
        lines = [table.get_row_at(place)[0].plain for place in range(2)]  # type: ignore[attr-defined]
        place = next(at for at, line in enumerate(lines) if "lrfind" in line)
        assert "%" not in lines[place] and "–" in lines[place]
        table.move_cursor(row=place)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await settled(
            pilot, lambda: isinstance(dashboard.screen, TrainScreen) and is_open(dashboard)
        )
        await settled(pilot, lambda: "falls fastest" in said(dashboard))
        assert app_state.selected_run != folder, "it is nothing to be evaluated"
        await pilot.press("enter")
        values = screen_of(dashboard).draft.values
        assert (values["optimizer"], values["lr"]) == ("sgd", SUGGESTED)
        assert dashboard.focused is panel(dashboard).curve
        await pilot.press("escape")
        assert app_state.feed is None
        await closes(dashboard, pilot)


async def test_evaluate_says_that_a_search_is_nothing_to_evaluate(
    opened: Opened, app_state: AppState
) -> None:
    app_state.selected_run = kept(app_state, CONFIG)
    async with opened("evaluate") as (dashboard, pilot):

        def told() -> str:
            return "\n".join(
                str(getattr(widget, "content", "")) for widget in dashboard.screen.query("Static")
            )

        await settled(pilot, lambda: "search for a learning rate" in told())


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60), (60, 16)])
async def test_it_is_whole_at_any_size(
    opened: Opened, searches: list[Scripted], size: tuple[int, int]
) -> None:
    async with opened("train", size=size) as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        await opens(dashboard, pilot)
        assert (
            panel(dashboard).region.right <= size[0] and panel(dashboard).region.bottom <= size[1]
        )
        words = panel(dashboard).query_one("Words")
        drawn = "\n".join(words.render_line(y).text for y in range(words.size.height))
        assert f"lr {SUGGESTED}" in drawn and "enter takes it" in drawn
        if size[1] > 16:
            assert panel(dashboard).curve._chart is not None


@pytest.mark.parametrize(("size", "focused"), [((80, 24), "loss"), ((120, 36), None)])
async def test_after_a_search_the_keys_go_to_what_is_in_view(
    opened: Opened, run: Scripted, size: tuple[int, int], focused: str | None
) -> None:
    async with opened("train", size=size) as (dashboard, pilot):
        await heard(dashboard, pilot, run)
        await pilot.press("l")
        await heard(dashboard, pilot, run, *probes(5, step=2 * STEPS))
        await pilot.press("escape")
        await pilot.pause()
        assert dashboard.focused is not None
        assert dashboard.focused.id == focused and dashboard.focused.region.area


async def test_a_narrow_terminal_reaches_the_other_views_from_a_search(
    opened: Opened, searches: list[Scripted]
) -> None:
    async with opened("train", size=(80, 24)) as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        seen = []
        for _ in range(4):
            seen.append(
                [name for name in ("#settings", "LrPanel", "#model", "#log")
                 if dashboard.screen.query_one(name).region.area]
            )  # fmt: skip
            await pilot.press("v")
            await pilot.pause()
        assert seen == [["LrPanel"], ["#model"], ["#log"], ["#settings"]]


async def test_hovering_reads_the_curve(opened: Opened, searches: list[Scripted]) -> None:
    async with opened("train") as (dashboard, pilot):
        await found(dashboard, pilot, searches)
        curve = panel(dashboard).curve
        assert curve._chart is not None
        await pilot.hover(curve, offset=(curve._chart.column(-3), curve._chart.top + 2))
        assert "lr 0.0009" in curve.reading and "smoothed" in curve.reading


def test_a_reason_longer_than_a_line_is_broken_between_words() -> None:
    reason = "the loss never falls between 1e-06 and 0.073 (0.325 at first)"
    lines = wrapped(["step 3", reason, "enter takes it"], 30)
    assert max(map(len, lines)) <= 30
    assert " ".join(lines) == f"step 3 {reason}  enter takes it"

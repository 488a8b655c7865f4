"""The search for a learning rate in a run that is in progress."""

from __future__ import annotations

from fmnist_tui.protocol.commands import CancelSearch, FindLearningRate, SetLearningRate
from fmnist_tui.protocol.events import FAILED, FINISHED, LrSearched, RunEnded
from fmnist_tui.tui.screens.train.log import LogPane
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, START, STEPS, events
from tests.tui.train.support import (
    SUGGESTED,
    FakeTraining,
    is_open,
    probes,
    result_of,
    send_events,
    text_of,
    wait_for_charts,
    wait_for_panel,
)


async def test_l_searches_in_a_live_run(open_dashboard: OpenDashboard, run: FakeTraining) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
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


async def test_enter_sends_the_rate_to_the_live_run(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
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
        lines = dashboard.screen.query_one(LogPane).lines
        log = " ".join(" ".join(line.text for line in lines).split())
        assert f"learning rate: suggests lr {SUGGESTED}" in log


async def test_a_schedule_that_will_raise_the_rate_is_mentioned(
    open_dashboard: OpenDashboard,
) -> None:
    config = CONFIG.changed(schedule="onecycle", warmup=0.5)
    training = FakeTraining(config)
    training.events.extend(events(config, epochs=1, ended=False))
    async with open_dashboard("train") as (dashboard, pilot):
        dashboard.show_run(RunFeed.of(training))
        await send_events(dashboard, pilot, training)
        await pilot.press("l")
        all_of_them = probes(step=STEPS)
        await send_events(dashboard, pilot, training, *all_of_them, result_of(all_of_them))
        assert "from there the schedule rises to 0.0057" in text_of(dashboard)
        training.finish()


async def test_escape_cancels_the_search_and_not_the_run(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        await send_events(dashboard, pilot, run, *probes(5, step=2 * STEPS))
        await pilot.press("escape")
        await pilot.pause()
        assert [type(command) for command in run.commands] == [FindLearningRate, CancelSearch]
        await wait_for_charts(dashboard, pilot)


async def test_escape_after_the_search_sends_nothing(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        all_of_them = probes(step=2 * STEPS)
        await send_events(dashboard, pilot, run, *all_of_them, result_of(all_of_them))
        await pilot.press("escape")
        assert [type(command) for command in run.commands] == [FindLearningRate]
        await wait_for_charts(dashboard, pilot)


async def test_a_second_search_does_not_show_the_first(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        all_of_them = probes(step=2 * STEPS)
        await send_events(dashboard, pilot, run, *all_of_them, result_of(all_of_them))
        assert not is_open(dashboard), "a search that was not started here opens no panel"
        await pilot.press("l")
        await send_events(dashboard, pilot, run)
        assert "waiting" in text_of(dashboard)


async def test_a_run_that_ends_before_its_search_is_reported(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        run.finish()
        await send_events(dashboard, pilot, run, RunEnded(START + 500, 40, 2, FINISHED, 9.0))
        assert "the run ended before the search did" in text_of(dashboard)
        await pilot.press("escape")
        await wait_for_charts(dashboard, pilot)


async def test_the_panel_shows_why_a_live_search_failed(
    open_dashboard: OpenDashboard, run: FakeTraining
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await send_events(dashboard, pilot, run)
        await pilot.press("l")
        failed = LrSearched(START + 200, 40, FAILED, message="10 training images are too few")
        await send_events(dashboard, pilot, run, failed)
        assert "10 training images are too few" in text_of(dashboard)

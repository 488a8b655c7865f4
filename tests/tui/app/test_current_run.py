"""The followed run, in the title and on Train, and the selected one, on the other screens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, headline, make_run, notice, wait_until
from tests.tui.train.support import FakeTraining


@pytest.fixture
def trainings(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeTraining]]:
    """The runs that are started, in place of the session's own."""
    started: list[FakeTraining] = []

    def train(config: RunConfig) -> FakeTraining:
        started.append(FakeTraining(config))
        started[-1].folder = make_run(app_state.runs_dir, config, epochs=0, ended=False, splits=())
        return started[-1]

    monkeypatch.setattr(app_state.session, "train", train)
    yield started
    for training in started:
        training.finish()


def bar(dashboard: Dashboard) -> str:
    return dashboard.status_line().plain


async def test_a_run_that_is_selected_is_followed_while_none_is_live(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    first, other = make_run(app_state.runs_dir), make_run(app_state.runs_dir)
    app_state.feed = RunFeed.open(first)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: first.id in headline(dashboard))
        dashboard.select_run(other)
        await wait_until(pilot, lambda: other.id in dashboard.status_line().plain)
        await wait_until(pilot, lambda: other.id in headline(dashboard))


async def test_another_run_can_be_looked_at_while_one_is_live(
    open_dashboard: OpenDashboard, app_state: AppState, trainings: list[FakeTraining]
) -> None:
    other = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        dashboard.start_run(CONFIG)
        live = trainings[0].folder
        dashboard.select_run(other)
        await wait_until(pilot, lambda: other.id in headline(dashboard))
        assert live is not None and live.id in dashboard.status_line().plain
        # The next run of a plan does not take the screens away from it.
        dashboard.start_run(CONFIG)
        await wait_until(pilot, lambda: len(trainings) == 2)
        assert dashboard.selected_run == other


async def test_a_run_that_is_started_is_the_selected_one(
    open_dashboard: OpenDashboard, app_state: AppState, trainings: list[FakeTraining]
) -> None:
    before = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        dashboard.select_run(before)
        await wait_until(pilot, lambda: app_state.feed is not None)
        dashboard.start_run(CONFIG)
        assert dashboard.selected_run == trainings[0].folder


async def test_the_newest_finished_run_is_current_while_none_is_selected(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    unfinished = make_run(app_state.runs_dir, epochs=2, ended=False)
    finished = make_run(app_state.runs_dir)
    async with open_dashboard("data") as (dashboard, pilot):
        await wait_until(pilot, lambda: f"{finished.id}  finished" in bar(dashboard))
        for key in "34":
            await pilot.press(key)
            await wait_until(pilot, lambda: finished.id in headline(dashboard))
        await pilot.press("5")
        await wait_until(
            pilot, lambda: finished.id in str(dashboard.screen.query_one("#input").border_title)
        )
        dashboard.select_run(unfinished)
        await pilot.press("3")
        await wait_until(pilot, lambda: unfinished.id in headline(dashboard))
        # One that is deleted does not stay.
        shutil.rmtree(finished.path)
        dashboard.show_run(None)
        dashboard.select_run(None)
        await wait_until(pilot, lambda: "No run selected" in notice(dashboard))
        assert not bar(dashboard).strip()

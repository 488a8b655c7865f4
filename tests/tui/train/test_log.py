"""Log entries from the events of a run."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from pathlib import Path

import pytest
from textual.color import Color

from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.events import (
    EVENTS,
    Alert,
    Changed,
    CheckpointSaved,
    EpochEnded,
    Event,
    RunStarted,
)
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui import theme as themes
from fmnist_tui.tui.screens.train.log import LogEntry, LogPane, RunLog
from fmnist_tui.tui.screens.train.progress import RunProgress
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.theme import contrast_ratio
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, START, events, make_run, wait_until
from tests.tui.train.support import FakeTraining


def new_entries(log: RunLog, feed: RunFeed) -> list[LogEntry]:
    log.follow(feed)
    return log.new_entries(deque())


def heads(entries: list[LogEntry]) -> list[str]:
    """The entries up to their colons."""
    return [entry.message.split(":")[0] for entry in entries]


def epoch(number: int, t: float) -> EpochEnded:
    return EpochEnded(t, number, number, 0.5, 0.8, 0.4, 0.9, 833, 3e-3, 0.01, 6400.0, False)


def append_events(folder: RunFolder, *more: Event) -> None:
    with folder.events.open("a") as file:
        file.writelines(EVENTS.encode(event) + "\n" for event in more)


def test_every_event_is_logged_once_and_in_order() -> None:
    training = Training(CONFIG)
    feed, log = RunFeed.of(training), RunLog()
    entries: list[LogEntry] = []
    for event in events():
        training.events.append(event)
        feed.drain()
        entries += new_entries(log, feed)
    epochs = [head for head in heads(entries) if head.startswith("epoch")]
    assert epochs == [f"epoch {n}" for n in (1, 2, 3, 4)]
    assert entries[0].message.startswith("two-conv, 225,034 parameters")
    assert entries[-1].message == "finished"


def test_fast_epochs_are_combined_into_one_entry() -> None:
    training = Training(CONFIG)
    feed, log = RunFeed.of(training), RunLog()
    training.events.extend(epoch(number, number / 100) for number in range(1, 101))
    feed.drain()
    assert len(new_entries(log, feed)) == 1


def test_slow_epochs_of_a_past_run_have_an_entry_each() -> None:
    training = Training(CONFIG)
    feed, log = RunFeed.of(training), RunLog()
    training.events.extend(epoch(number, 60.0 * number) for number in range(1, 31))
    feed.drain()
    assert heads(new_entries(log, feed)) == [f"epoch {number}" for number in range(1, 31)]


def test_every_entry_of_a_run_on_disk_has_the_time_of_its_event(tmp_path: Path) -> None:
    folder, t = make_run(tmp_path, epochs=3, ended=False), START + 3
    file = "step-0025.pt"
    append_events(
        folder,
        Changed(t, 25, "lr", "0.00200001", "0.003"),
        CheckpointSaved(t + 0.1, 25, 2, "step", file, "0" * 64, 900_000),
        Alert(t + 0.2, "note", "look"),
    )
    entries = new_entries(RunLog(), RunFeed.open(folder))
    assert [
        (entry.message, entry.t) for entry in entries if entry.t and t <= entry.t < t + 0.5
    ] == [
        ("learning rate 0.003 → 0.002", t),
        (f"checkpoint kept: {file}", t + 0.1),
        ("look", t + 0.2),
    ]
    times = [entry.t or 0.0 for entry in entries]
    assert times == sorted(times) and times[0] >= START and times[-1] < START + 10


def test_the_start_of_a_resumed_run_stands_where_it_was_resumed(tmp_path: Path) -> None:
    folder = make_run(tmp_path, epochs=2, ended=False)
    first = next(iter(events()))
    assert isinstance(first, RunStarted)
    append_events(
        folder,
        dataclasses.replace(first, t=START + 50, step=40),
        epoch(3, START + 60),
    )
    entries = new_entries(RunLog(), RunFeed.open(folder))
    assert [head.split(",")[0] for head in heads(entries)] == [
        "epoch 1",
        "epoch 2",
        "two-conv",
        "epoch 3",
    ]
    assert entries[2].message.endswith("from step 40")


def test_loading_is_logged_with_the_time_at_which_it_happened() -> None:
    training = Training(CONFIG)
    training.load_steps.append(LoadStep("fashion", "disk", "trying", t=START))
    feed = RunFeed.of(training)
    feed.drain()
    assert [entry.t for entry in new_entries(RunLog(), feed)] == [START]
    assert abs(LoadStep("fashion", "disk", "ok").t - time.time()) < 60


def test_the_log_of_a_run_that_is_read_again_goes_on(tmp_path: Path) -> None:
    log, folder = RunLog(), make_run(tmp_path, epochs=3, ended=False)
    assert new_entries(log, RunFeed.open(folder))
    assert not new_entries(log, RunFeed.open(folder))
    append_events(folder, *list(events())[len(list(events(epochs=3, ended=False))) :])
    again = RunFeed.open(folder)
    assert not log.follow(again)
    assert heads(new_entries(log, again)) == ["epoch 4", "finished"]


def test_epochs_before_a_resumption_are_not_logged_again(tmp_path: Path) -> None:
    log, folder = RunLog(), make_run(tmp_path, epochs=3, ended=False)
    feed = RunFeed.open(folder)
    new_entries(log, feed)
    first = next(iter(events()))
    assert isinstance(first, RunStarted)
    append_events(folder, dataclasses.replace(first, t=START + 50, step=40), epoch(3, START + 60))
    feed.drain()
    assert [head.split(",")[0] for head in heads(new_entries(log, feed))] == ["two-conv", "epoch 3"]


def test_another_run_has_a_log_of_its_own(tmp_path: Path) -> None:
    log, first, other = RunLog(), make_run(tmp_path, epochs=1), make_run(tmp_path, epochs=2)
    assert not log.follow(RunFeed.open(first))
    before = log.new_entries(deque())
    assert log.follow(RunFeed.open(other))
    assert "epoch 2" in heads(log.new_entries(deque()))
    assert log.follow(RunFeed.open(first))
    assert log.new_entries(deque()) == before
    assert log.follow(None)


async def test_a_run_that_prepares_shows_nothing_of_the_one_before(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.feed = RunFeed.open(make_run(app_state.runs_dir, epochs=3))
    training = FakeTraining()
    monkeypatch.setattr(app_state.session, "train", lambda _: training)
    async with open_dashboard("train") as (dashboard, pilot):
        log = dashboard.screen.query_one(LogPane)
        await wait_until(pilot, lambda: any("epoch 3" in line.text for line in log.lines))
        training.load_steps.append(LoadStep("fashion", "disk", "trying"))
        dashboard.start_run(CONFIG)
        await wait_until(pilot, lambda: any("trying" in line.text for line in log.lines))
        assert not any("epoch" in line.text for line in log.lines)
        progress = dashboard.screen.query_one(RunProgress)
        assert "preparing" in progress.render_line(0).text
        training.finish()


async def test_what_the_log_says_can_be_read_after_a_change_of_theme(
    open_dashboard: OpenDashboard, app_state: AppState, run: FakeTraining
) -> None:
    run.events.append(Alert(0.0, "warning", "the disk is nearly full"))
    app_state.printed.append("said by a library")
    async with open_dashboard("train") as (dashboard, pilot):
        pane = dashboard.screen.query_one(LogPane)

        def colours() -> dict[str, Color]:
            segments = [segment for line in pane.lines for segment in line]
            return {
                segment.text[:6]: Color.from_rich_color(segment.style.color)
                for segment in segments
                if segment.style is not None and segment.style.color is not None
            }

        await wait_until(pilot, lambda: len(colours()) >= 2)
        for name in (themes.DARK, themes.LIGHT):
            dashboard.theme = name
            await pilot.pause()
            warning = Color.parse(dashboard.theme_variables["warning"])
            assert colours()["! the "] == warning
            ground = pane.background_colors[1]
            assert all(contrast_ratio(colour, ground) >= 4.5 for colour in colours().values())

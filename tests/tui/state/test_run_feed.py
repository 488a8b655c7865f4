"""The events of a run as the screens read them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import EVENTS, Event, Progress, RunStarted
from fmnist_tui.protocol.run_state import TRAIN_LOSS
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.run_status import run_status
from fmnist_tui.util.errors import UserError
from tests.tui.support import CONFIG, events, make_run


def test_a_run_of_this_process_has_the_same_state_as_its_event_file(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    training = Training(CONFIG)
    training.events.extend(events(run=folder.name))
    own = RunFeed.of(training)
    assert own.drain()
    assert not own.drain()
    assert own.state == RunFeed.open(folder).state


def test_events_appended_by_another_process_are_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path, epochs=1, ended=False)
    feed = RunFeed.open(folder)
    assert feed.status == "crashed"
    complete = make_run(tmp_path / "other")
    rest = complete.events.read_text().splitlines()[len(folder.events.read_text().splitlines()) :]
    with folder.events.open("a") as file:
        file.writelines(f"{line}\n" for line in rest)
    assert feed.drain()
    assert feed.status == "finished"


def test_a_run_that_was_resumed_several_times_has_its_whole_curve_wherever_it_is_shown(
    tmp_path: Path,
) -> None:
    folder = make_run(tmp_path, epochs=2, ended=False)
    attached = RunFeed.open(folder)
    first, *rest = events(run=folder.name)
    assert isinstance(first, RunStarted)
    steps = [event for event in rest if isinstance(event, Progress)]
    # Steps after the last checkpoint are trained again.
    sessions: list[list[Event]] = [
        [dataclasses.replace(first, t=first.t + 100, step=20), *steps[20:60]],
        [dataclasses.replace(first, t=first.t + 200, step=40), *steps[40:50]],
        [dataclasses.replace(first, t=first.t + 300, step=50), *steps[50:]],
    ]
    *earlier, last = sessions
    with folder.events.open("a") as file:
        file.writelines(EVENTS.encode(event) + "\n" for each in earlier for event in each)
    training = Training(CONFIG)
    training.events.extend(last)
    own = RunFeed.of(training, replay(folder.events))
    assert [step for step, _ in own.state.series(TRAIN_LOSS)] == list(range(1, 51))
    assert not own.has_started
    with folder.events.open("a") as file:
        file.writelines(EVENTS.encode(event) + "\n" for event in last)
    for feed in (own, attached):
        assert feed.drain()
    for feed in (own, attached, RunFeed.open(folder)):
        assert [step for step, _ in feed.state.series(TRAIN_LOSS)] == list(range(1, 81))
        assert [m.step for m in feed.state.markers if m.what == "resumed"] == [20, 40, 50]


def test_a_run_that_is_told_to_stop_is_stopping_until_it_ends() -> None:
    training = Training(CONFIG)
    training.events.extend(events(epochs=2, ended=False))
    feed = RunFeed.of(training)
    feed.drain()
    assert feed.status == "training"
    feed.send(Stop(0.0, "stopped by key"))
    assert feed.status == "stopping"
    training.finish()
    assert feed.status != "stopping"


def test_invalid_lines_are_skipped_and_said(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    lines = folder.events.read_bytes().splitlines(keepends=True)
    folder.events.write_bytes(b"\xff\x00 nonsense\n" + b"{}\n".join(lines))
    feed = RunFeed.open(folder)
    assert (feed.status, feed.state.step) == ("finished", 80)
    assert f"{len(lines)} unreadable lines" in run_status(feed).plain
    with folder.events.open("ab") as file:
        file.write(b"more nonsense\n")
    feed.drain()
    assert f"{len(lines) + 1} unreadable lines" in run_status(feed).plain
    assert RunFeed.open(make_run(tmp_path)).state.unreadable_lines == 0


def test_a_run_locked_by_another_process_is_live_and_accepts_commands(tmp_path: Path) -> None:
    folder = make_run(tmp_path, epochs=2, ended=False)
    with RunLock.acquire(folder.path):
        feed = RunFeed.open(folder)
        assert feed.is_live and not feed.is_own and feed.holder is not None
        feed.send(Stop(0.0, "enough"))
    assert "enough" in folder.commands.read_text()


def test_a_command_to_a_run_that_has_ended_is_refused(tmp_path: Path) -> None:
    feed = RunFeed.open(make_run(tmp_path))
    with pytest.raises(UserError, match="is not running"):
        feed.send(Stop(0.0))


def test_a_deleted_folder_is_reported_and_the_state_stays(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    feed = RunFeed.open(folder)
    shutil.rmtree(folder.path)
    feed._checked_at = 0.0
    assert feed.drain()
    assert "no longer exists" in feed.error
    assert feed.state.step == 80


def test_without_a_readable_config_the_events_are_still_shown(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    folder.config.unlink()
    feed = RunFeed.open(folder)
    assert feed.config is None and feed.record_error
    assert feed.state.step == 80


def test_a_run_that_could_not_start_has_the_reason(tmp_path: Path) -> None:
    training = Training(CONFIG)
    feed = RunFeed.of(training)
    assert feed.status == "preparing"
    training.finish(UserError("no such data"))
    assert feed.drain()
    assert (feed.status, feed.error) == ("not started", "no such data")


def test_a_resumed_run_continues_from_its_history_and_drops_what_is_repeated(
    tmp_path: Path,
) -> None:
    folder = make_run(tmp_path, epochs=3, ended=False)
    training = Training(CONFIG, folder)
    feed = RunFeed.of(training, replay(folder.events))
    assert feed.status == "preparing"
    assert feed.state.best is not None and feed.state.best.epoch == 3
    first, *rest = events(run=folder.name)
    assert isinstance(first, RunStarted)
    session = [
        dataclasses.replace(first, step=40),
        *(e for e in rest if getattr(e, "step", 0) > 40),
    ]
    training.events.extend(session)
    with folder.events.open("a") as file:
        file.writelines(EVENTS.encode(event) + "\n" for event in session)
    assert feed.drain() and feed.has_started
    assert feed.state == RunFeed.open(folder).state
    assert [step for step, _ in feed.state.series("train_loss")] == list(range(1, 81))


def test_a_resumed_run_that_cannot_start_has_the_reason_and_no_end(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    training = Training(CONFIG, folder)
    feed = RunFeed.of(training, replay(folder.events))
    training.finish(UserError("no such data"))
    assert feed.drain()
    assert (feed.status, feed.error) == ("not started", "no such data")
    # An earlier end would be taken for that of this session.
    assert feed.state.end is None and feed.state.step == 80

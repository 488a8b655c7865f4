"""Log entries from the events of a run."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.events import EVENTS, EpochEnded
from fmnist_tui.tui.screens.train.log import LogEntry, RunLog
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.support import CONFIG, events, make_run


def test_every_event_is_logged_once_and_in_order() -> None:
    training = Training(CONFIG)
    feed, log = RunFeed.of(training), RunLog()
    entries: list[LogEntry] = []
    for event in events():
        training.events.append(event)
        feed.drain()
        entries += log.new_entries(feed, deque())
    epochs = [entry.message for entry in entries if entry.message.startswith("epoch")]
    assert [message.split(":")[0] for message in epochs] == [f"epoch {n}" for n in (1, 2, 3, 4)]
    assert entries[0].message.startswith("two-conv, 225,034 parameters")
    assert entries[-1].message == "finished"


def test_fast_epochs_are_combined_into_one_entry() -> None:
    training = Training(CONFIG)
    feed, log = RunFeed.of(training), RunLog()
    for number in range(1, 101):
        t = number / 100
        training.events.append(
            EpochEnded(t, number, number, 0.5, 0.8, 0.4, 0.9, 833, 3e-3, 0.01, 6400.0, False)
        )
        feed.drain()
    assert len(log.new_entries(feed, deque())) == 1


def test_a_run_that_is_followed_again_is_not_logged_again(tmp_path: Path) -> None:
    log, printed = RunLog(), deque[str]()
    first, other = make_run(tmp_path, epochs=3, ended=False), make_run(tmp_path, epochs=1)
    feed = RunFeed.open(first)
    assert log.new_entries(feed, printed)
    assert log.new_entries(RunFeed.open(other), printed)
    assert not log.new_entries(feed, printed)
    assert not log.new_entries(RunFeed.open(other), printed)
    with first.events.open("a") as file:
        for event in list(events())[len(list(events(epochs=3, ended=False))) :]:
            file.write(EVENTS.encode(event) + "\n")
    messages = [entry.message for entry in log.new_entries(RunFeed.open(first), printed)]
    assert [message.split(":")[0] for message in messages] == ["epoch 4", "finished"]

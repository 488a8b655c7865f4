"""Log entries from the events of a run."""

from __future__ import annotations

from collections import deque

from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.events import EpochEnded
from fmnist_tui.tui.screens.train.log import LogEntry, RunLog
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.support import CONFIG, events


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

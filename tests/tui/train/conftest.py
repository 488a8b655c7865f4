"""A run in progress, and searches that are started by a key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.support import events
from tests.tui.train.support import FakeTraining


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

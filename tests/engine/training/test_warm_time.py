"""Warm wall time: from the first step until the training is over and its weights are on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fmnist_tui.engine.run import run_clock
from fmnist_tui.engine.run.run_clock import RunClock
from fmnist_tui.engine.training import lr_finder
from fmnist_tui.protocol.commands import FindLearningRate, Pause, Resume
from fmnist_tui.protocol.events import FINISHED, CheckpointSaved, EpochEnded, LrSearched, Progress
from tests.engine.support import Harness, blobs


@pytest.fixture
def spend(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets that many seconds pass on the clock of the run."""
    spent = 0.0

    def spend(seconds: float) -> None:
        nonlocal spent
        spent += seconds

    clock = SimpleNamespace(perf_counter=lambda: time.perf_counter() + spent, time=time.time)
    monkeypatch.setattr(run_clock, "time", clock)
    return spend


def test_validation_and_saving_count_but_not_the_start_pauses_and_searches(
    tmp_path: Path, spend: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=2)
    trainer, learner = harness.trainer, harness.learner

    def spending(seconds: float, act: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            spend(seconds)
            return act(*args)

        return call

    sent = False

    def on_tick() -> None:
        nonlocal sent
        if learner.step == 6 and not sent:
            sent = True
            harness.inbox.send(FindLearningRate(0.0, 1e-6, 1.0, 4))
            harness.inbox.send(Pause(0.0))
        if trainer._is_paused:
            spend(1e6)
            harness.inbox.send(Resume(0.0))

    trainer.commands.on_tick = on_tick
    learner.make_step = spending(1e6, learner.make_step)  # type: ignore[method-assign]
    monkeypatch.setattr(lr_finder, "search", spending(1e6, lr_finder.search))
    trainer._validate = spending(1000.0, trainer._validate)  # type: ignore[method-assign]
    trainer._saver.save = spending(100.0, trainer._saver.save)  # type: ignore[method-assign]
    assert trainer.run().reason == FINISHED
    first, last = harness.of(EpochEnded)
    assert first.warm_seconds == pytest.approx(1100, abs=10)
    assert 2000 < last.warm_seconds < 2500
    assert harness.of(Progress)[0].warm_seconds < 10
    assert harness.of(LrSearched)
    # `last` is saved at the end: only then are the weights safe.
    warm = trainer._clock.warm_seconds
    # The first epoch's best and last are one save.
    assert [event.kind for event in harness.of(CheckpointSaved)] == ["best", "last", "best", "last"]
    assert warm == pytest.approx(2000 + 3 * 100.0, abs=10)
    # The evaluation comes after that.
    spend(1e6)
    assert trainer._clock.warm_seconds == warm


def test_sessions_add_up_unless_an_earlier_one_did_not_tell(spend: Callable[[float], None]) -> None:
    clock = RunClock(100.0, 40.0)
    spend(5.0)
    assert clock.warm_seconds == 40.0, "nothing is trained yet"
    clock.start_warm()
    clock.start_warm()
    spend(2.0)
    end = clock.run_ended(FINISHED, "", 1, 1)
    assert end.warm_seconds == pytest.approx(42.0, abs=1)
    assert end.run_seconds == pytest.approx(107.0, abs=1)
    unknown = RunClock(100.0, None)
    unknown.start_warm()
    assert unknown.run_ended(FINISHED, "", 1, 1).warm_seconds is None

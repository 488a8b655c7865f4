"""A learning-rate search in a training run, and as a run of its own."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.config.recipes import read_recipe
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.step.training_step import TrainingStep
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.commands import (
    CancelSearch,
    Command,
    FindLearningRate,
    Pause,
    Resume,
    SetLearningRate,
    Stop,
)
from fmnist_tui.protocol.events import (
    FAILED,
    FINISHED,
    LRFIND,
    STOPPED,
    Alert,
    Changed,
    EpochEnded,
    Evaluated,
    LrProbed,
    LrSearched,
    Progress,
    RunStarted,
)
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.log import send_command
from fmnist_tui.util.errors import UserError
from tests.engine.step.stand_in import use_stand_in
from tests.engine.support import FOREVER, RICH, Harness, Listener, blobs, config, digest

# No rate at which the loss explodes: the search would end early.
SHORT = RateRange(1e-5, 0.1, 20)
FIND = FindLearningRate(0.0, SHORT.low, SHORT.high, SHORT.steps)


def train_with_commands(
    folder: Path, *commands: Command, at: int = 4, **values: object
) -> tuple[str, Harness]:
    """Train a run that gets commands at a step; returns the hash of its final weights."""
    harness = Harness(folder, blobs(96), **{**RICH, **values})
    remaining = list(commands)

    def on_tick() -> None:
        while remaining and harness.learner.step == at:
            harness.inbox.send(remaining.pop(0))

    harness.trainer.commands.on_tick = on_tick
    assert harness.trainer.run().reason == FINISHED
    payload, _, _ = harness.store.load("last")
    best, _, _ = harness.store.load("best")
    return digest(payload["model"]) + digest(payload["weights"]) + digest(best["weights"]), harness


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("at", [0, 7])
def test_a_training_with_a_search_ends_like_one_without(
    tmp_path: Path, optimizer: str, at: int
) -> None:
    plain, _ = train_with_commands(tmp_path / "plain", optimizer=optimizer)
    with_search, harness = train_with_commands(
        tmp_path / "searched", FIND, at=at, optimizer=optimizer
    )
    assert len(harness.of(LrProbed)) == SHORT.steps and len(harness.of(LrSearched)) == 1
    assert with_search == plain


def test_a_paused_run_searches_and_stays_paused(tmp_path: Path) -> None:
    plain, _ = train_with_commands(tmp_path / "plain")
    harness = Harness(tmp_path / "paused", blobs(96), **RICH)
    remaining: list[Command] = [Pause(0.0), FIND, Resume(0.0)]

    def on_tick() -> None:
        if harness.learner.step == 4 and remaining:
            harness.inbox.send(remaining.pop(0))

    harness.trainer.commands.on_tick = on_tick
    assert harness.trainer.run().reason == FINISHED
    events = [event for event in harness.events if isinstance(event, (Changed, LrSearched))]
    words = [event.value if isinstance(event, Changed) else "searched" for event in events]
    assert words[words.index("true") :][:5] == [
        "true", "finding a rate", "searched", "training", "false",
    ]  # fmt: skip
    assert digest(harness.store.load("last")[0]["model"]) in plain


def test_commands_during_a_search_are_executed_after_it(tmp_path: Path) -> None:
    _, harness = train_with_commands(tmp_path, FIND, SetLearningRate(0.0, 0.0123))
    kinds = [
        event for event in harness.events if isinstance(event, (LrProbed, LrSearched, Changed))
    ]
    rate = next(at for at, event in enumerate(kinds) if getattr(event, "what", "") == "lr")
    assert isinstance(kinds[rate - 2], LrSearched)


def test_cancelling_a_search_does_not_end_the_run(tmp_path: Path) -> None:
    plain, _ = train_with_commands(tmp_path / "plain")
    with_search, harness = train_with_commands(tmp_path / "cancelled", FIND, CancelSearch(0.0))
    assert harness.of(LrSearched)[0].reason == STOPPED and not harness.of(LrProbed)
    assert with_search == plain


def test_a_stop_during_a_search_saves_the_state_before_it(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(96), **RICH)
    before = ""

    def on_tick() -> None:
        nonlocal before
        if harness.learner.step == 5 and not before:
            before = digest(harness.learner.model.state_dict())
            harness.inbox.send(FIND)
        elif len(harness.of(LrProbed)) == 3:
            harness.inbox.send(Stop(0.0, "enough"))

    harness.trainer.commands.on_tick = on_tick
    ending = harness.trainer.run()
    assert (ending.reason, ending.message) == (STOPPED, "enough")
    payload, manifest, _ = harness.store.load("last")
    assert manifest.step == 5 and digest(payload["model"]) == before


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (FindLearningRate(0.0, 1.0, 0.1, 50), "from-lr = 1 must be below to-lr = 0.1"),
        (FindLearningRate(0.0, math.nan, 0.1, 50), "from-lr = nan"),
        (FindLearningRate(0.0, 1e-4, 0.1, 10**9), "steps = 1000000000"),
    ],
)
def test_an_invalid_search_is_reported_and_changes_nothing(
    tmp_path: Path, command: Command, why: str
) -> None:
    _, harness = train_with_commands(
        tmp_path, command, model="linear", ema=0.0, mixup=0.0, body_lr=1.0
    )
    failed = harness.of(LrSearched)[0]
    assert failed.reason == FAILED and why in failed.message


def test_epoch_figures_exclude_the_search(tmp_path: Path) -> None:
    _, plain = train_with_commands(tmp_path / "plain", mixup=0.0)
    _, harness = train_with_commands(tmp_path / "searched", FIND, mixup=0.0)

    def figures(harness: Harness) -> list[float]:
        result = harness.of(EpochEnded)
        return [value for event in result for value in (event.train_loss, event.train_accuracy)]

    assert figures(harness) == pytest.approx(figures(plain))
    assert harness.of(LrProbed)[0].loss < 10, "probes exclude the losses of earlier steps"
    assert all(event.images <= 96 for event in harness.of(Progress))


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
@pytest.mark.parametrize("at", [0, 2, 7])
def test_a_step_captured_before_during_or_after_a_search_trains_as_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str, at: int
) -> None:
    graphs = use_stand_in(monkeypatch)
    make_step = Learner.make_step

    def addresses(learner: Learner) -> list[int]:
        states = [value for state in learner._optimizer.state.values() for value in state.values()]
        return [value.data_ptr() for value in (*states, *learner.model.state_dict().values())]

    def remember(learner: Learner, *arguments: Any, **words: Any) -> TrainingStep:
        monkeypatch.setattr(graphs, "addresses", partial(addresses, learner))
        return make_step(learner, *arguments, **words)

    monkeypatch.setattr(Learner, "make_step", remember)
    plain, _ = train_with_commands(tmp_path / "plain", optimizer=optimizer)
    with_search, harness = train_with_commands(
        tmp_path / "searched", FIND, at=at, optimizer=optimizer
    )
    assert len(harness.of(LrProbed)) == SHORT.steps
    # Once per run, and once for the search if the training step was not yet captured.
    captures = [call for call in graphs.calls if call.startswith("capture")]
    assert len(captures) == (3 if at < 3 else 2)
    assert with_search == plain


# -- as a run of its own ------------------------------------------------------------------


def test_a_search_run_records_everything_in_its_folder(session: Session) -> None:
    training = session.find_lr(config(model="mlp"), RateRange(steps=60))
    listener = Listener(training)
    result = listener.wait_for_end()
    assert result.reason == FINISHED and result.message.startswith("suggests lr 0.")
    folder = training.folder
    assert folder is not None and "lrfind" in folder.name
    state = replay(folder.events)
    assert state.started is not None and state.search is not None
    assert (state.started.kind, state.started.total_steps) == (LRFIND, 60)
    assert state.search.end is not None and state.search.end.lr is not None
    assert len(state.search.points) == len([e for e in listener.events if isinstance(e, LrProbed)])
    assert read_recipe(folder.config).config() == training.config
    assert not [event for event in listener.events if isinstance(event, Evaluated)]
    assert not list(folder.predictions.iterdir()) and not list(folder.checkpoints.iterdir())


def test_a_search_is_stopped_by_a_command_from_another_process(session: Session) -> None:
    training = session.find_lr(config(model="mlp"), RateRange(steps=2000))
    listener = Listener(training)
    listener.wait_for(RunStarted)
    assert training.folder is not None
    send_command(training.folder, Stop(0.0, "requested"))
    result = listener.wait_for_end()
    assert (result.reason, result.message) == (STOPPED, "requested")


def test_another_process_can_start_a_search_in_a_live_run(session: Session) -> None:
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.wait_for(RunStarted)
    assert training.folder is not None
    send_command(training.folder, FIND)
    assert listener.wait_for(LrSearched).reason == FINISHED
    listener.wait_for(Changed, what="phase", value="training")
    training.stop()
    listener.wait_for_end()
    assert not [event for event in listener.events if isinstance(event, Alert)]


def test_a_search_on_too_few_images_leaves_no_run_folder(session: Session, tmp_path: Path) -> None:
    training = session.find_lr(config(batch_size=32))
    assert training.wait(60)
    assert isinstance(training.error, UserError) and "too few" in str(training.error)
    assert not (tmp_path / "runs").exists()

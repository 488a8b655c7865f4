"""Commands that arrive while a network is validated, between two batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fmnist_tui.engine.inference import classifier
from fmnist_tui.engine.run import phase
from fmnist_tui.engine.training import learner, telemetry
from fmnist_tui.protocol.commands import (
    Command,
    Detach,
    FindLearningRate,
    Pause,
    Resume,
    SaveCheckpoint,
    SetLearningRate,
    Stop,
)
from fmnist_tui.protocol.events import (
    DETACHED,
    FINISHED,
    STOPPED,
    Changed,
    CheckpointSaved,
    EpochEnded,
    Event,
    LrSearched,
    Progress,
    Telemetry,
)
from tests.engine.support import RICH, Harness, blobs, digest

# Hashes of the last weights and averages, and the figures of every epoch
Outcome = tuple[str, list[tuple[float | None, ...]]]


def make_harness(folder: Path, **values: object) -> Harness:
    return Harness(folder, blobs(64), **{**RICH, **values})


def act_in_validation(harness: Harness, act: Callable[[], None]) -> None:
    """Call `act` between the batches of the first epoch's validation."""

    def on_tick() -> None:
        position = harness.learner.epoch, harness.learner.epoch_step
        if position == (0, harness.learner.order.steps_per_epoch):
            act()

    harness.trainer.commands.on_tick = on_tick


def send_in_validation(harness: Harness, *commands: Command) -> None:
    waiting = [*commands]

    def send() -> None:
        while waiting:
            harness.inbox.send(waiting.pop(0))

    act_in_validation(harness, send)


def outcome(harness: Harness) -> Outcome:
    payload, _, _ = harness.store.load("last")
    ends = harness.of(EpochEnded)
    hashes = digest(payload["model"]) + digest(payload["weights"])
    return hashes, [(end.train_loss, end.val_loss, end.val_accuracy, end.lr) for end in ends]


@pytest.fixture
def uninterrupted(tmp_path: Path) -> Outcome:
    harness = make_harness(tmp_path / "uninterrupted")
    assert harness.trainer.run().reason == FINISHED
    return outcome(harness)


@pytest.mark.parametrize(("command", "reason"), [(Stop(0.0), STOPPED), (Detach(0.0), DETACHED)])
def test_a_run_that_ends_in_validation_is_resumed_to_the_same_weights_and_figures(
    tmp_path: Path,
    uninterrupted: Outcome,
    command: Command,
    reason: str,
) -> None:
    harness = make_harness(tmp_path)
    send_in_validation(harness, command)
    assert harness.trainer.run().reason == reason
    assert harness.of(EpochEnded) == []
    payload, manifest, _ = harness.store.load("last")
    assert (payload["epoch"], payload["epoch_step"], payload["step"]) == (0, 4, 4)

    resumed = make_harness(tmp_path)
    resumed.learner.restore(payload, manifest.file)
    assert resumed.trainer.run().reason == FINISHED
    assert outcome(resumed) == uninterrupted


def test_a_pause_in_validation_is_said_at_once_and_the_validation_made_anew(
    tmp_path: Path, uninterrupted: Outcome
) -> None:
    harness = make_harness(tmp_path)
    looks: list[bool] = []

    def act() -> None:
        looks.append(harness.trainer._is_paused)
        if len(looks) == 1:
            harness.inbox.send(Pause(0.0))
        elif sum(looks) == 1:
            harness.inbox.send(SaveCheckpoint(0.0))
        elif sum(looks) == 3:
            harness.inbox.send(Resume(0.0))

    act_in_validation(harness, act)
    assert harness.trainer.run().reason == FINISHED
    changes = [(event.what, event.value) for event in harness.of(Changed)]
    at = changes.index(("phase", "validating"))
    assert changes[at : at + 4] == [
        ("phase", "validating"),
        ("paused", "true"),
        ("paused", "false"),
        ("phase", "validating"),
    ]
    # A checkpoint saved in the pause holds the weights of the training, not only their averages.
    payload, _, _ = harness.store.load("step")
    assert (payload["step"], payload["epoch_step"]) == (4, 4)
    name = next(iter(payload["model"]))
    assert not torch.equal(payload["model"][name], payload["weights"][name])
    assert outcome(harness) == uninterrupted


def test_a_rate_set_in_validation_is_acknowledged_before_it_is_over(tmp_path: Path) -> None:
    harness = make_harness(tmp_path, schedule="constant", body_lr=1.0)
    send_in_validation(harness, SetLearningRate(0.0, 1e-4))
    harness.trainer.run()

    def is_answer(event: Event) -> bool:
        return isinstance(event, Changed) and event.what == "lr"

    kinds = ["lr" if is_answer(event) else type(event) for event in harness.events]
    assert kinds.index("lr") < kinds.index(EpochEnded)
    rates = [event.lr for event in harness.of(Progress) if event.step > 4]
    assert rates and set(rates) == {1e-4}


def test_a_checkpoint_requested_in_validation_is_saved_right_after_it(tmp_path: Path) -> None:
    harness = make_harness(tmp_path)
    send_in_validation(harness, SaveCheckpoint(0.0))
    harness.trainer.run()
    assert [event.step for event in harness.of(CheckpointSaved) if event.kind == "step"] == [4]
    assert harness.store.load("step")[0]["epoch"] == 1


def test_a_search_for_a_rate_interrupts_validation_and_changes_nothing(
    tmp_path: Path, uninterrupted: Outcome
) -> None:
    harness = make_harness(tmp_path)
    send_in_validation(harness, FindLearningRate(0.0, 1e-5, 1e-2, 20))
    assert harness.trainer.run().reason == FINISHED
    (result,) = harness.of(LrSearched)
    assert (result.reason, result.step) == (FINISHED, 4)
    assert outcome(harness) == uninterrupted


def test_a_long_validation_tells_how_much_of_it_is_done_and_the_load_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase, "SHARE_SECONDS", 0.0)
    monkeypatch.setattr(telemetry, "TELEMETRY_SECONDS", 0.0)
    for module in (classifier, learner):
        monkeypatch.setattr(module, "evaluation_batch_size", lambda *_: 8)
    harness = make_harness(tmp_path, epochs=1)
    harness.trainer.run()
    events = harness.events
    begin = next(i for i, event in enumerate(events) if getattr(event, "value", "") == "validating")
    end = next(i for i, event in enumerate(events) if isinstance(event, EpochEnded))
    during = events[begin:end]
    shares = [event.value for event in during if isinstance(event, Changed)]
    assert shares == ["validating", "validating, 0 %", "validating, 50 %"]
    assert any(isinstance(event, Telemetry) for event in during)

"""The events of the training loop, and how it executes commands."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.engine.checkpoints.checkpoint import EncodedCheckpoint
from fmnist_tui.engine.training import telemetry, trainer
from fmnist_tui.protocol.commands import (
    Command,
    Detach,
    Pause,
    Resume,
    SaveCheckpoint,
    ScaleLearningRate,
    SetLearningRate,
    Stop,
)
from fmnist_tui.protocol.events import (
    DETACHED,
    FAILED,
    FINISHED,
    STOPPED,
    Alert,
    Changed,
    CheckpointSaved,
    EpochEnded,
    Progress,
    Telemetry,
)
from tests.engine.support import Harness, blobs


def _at(harness: Harness, step: int, act: Callable[[], None]) -> None:
    """Call `act` just before the given step."""
    done = False

    def on_tick() -> None:
        nonlocal done
        if harness.learner.step == step and not done:
            done = True
            act()

    harness.trainer.commands.on_tick = on_tick


def _send_at(harness: Harness, step: int, *commands: Command) -> None:
    def act() -> None:
        for command in commands:
            harness.inbox.send(command)

    _at(harness, step, act)


def test_phases_epochs_and_checkpoints_are_reported_in_order(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=2)
    assert harness.trainer.run().reason == FINISHED
    phases = [event.value for event in harness.of(Changed)]
    assert phases == ["warming up", *["training", "validating"] * 2]
    epochs = harness.of(EpochEnded)
    assert [(event.epoch, event.step, event.val_count) for event in epochs] == [
        (1, 4, 16),
        (2, 8, 16),
    ]
    assert harness.of(CheckpointSaved)[-1].kind == "last"
    assert harness.of(CheckpointSaved)[-1].step == 8
    assert epochs[0].best
    assert epochs[-1].train_loss < epochs[0].train_loss


def test_progress_events_add_up_to_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", 0.0)
    harness = Harness(tmp_path, blobs(64), epochs=1)
    harness.trainer.run()
    steps = harness.of(Progress)
    assert [event.step for event in steps] == [1, 2, 3, 4]
    ended = harness.of(EpochEnded)[0]
    assert ended.train_loss == pytest.approx(sum(event.loss for event in steps) / 4)
    assert ended.train_accuracy == pytest.approx(sum(event.accuracy for event in steps) / 4)


def test_progress_is_reported_at_most_ten_times_a_second(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(2048), epochs=3)
    start = time.perf_counter()
    harness.trainer.run()
    # and once more at each end of an epoch and each save
    allowed = (time.perf_counter() - start) * 10 + 3 * 3 + 2
    assert len(harness.of(Progress)) <= allowed
    assert harness.learner.step > 300


def test_a_learning_rate_can_be_set_and_scaled_while_training(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=2, lr=0.01, schedule="linear")
    _send_at(harness, 3, SetLearningRate(0.0, 0.002), ScaleLearningRate(0.0, 0.5))
    harness.trainer.run()
    assert [event.value for event in harness.of(Changed) if event.what == "lr"] == [
        "0.002",
        "0.001",
    ]
    rates = [event.lr for event in harness.of(EpochEnded)]
    # the schedule continues from the new rate in proportion
    assert rates[0] == pytest.approx(0.001 * (1 - 4 / 8) / (1 - 3 / 8))


def test_the_optimiser_uses_the_rate_that_was_set(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=1, lr=0.1, optimizer="sgd", momentum=0.0)
    _send_at(harness, 1, SetLearningRate(0.0, 1e-30))
    before: list[torch.Tensor] = []
    plain = harness.trainer._execute

    def obey(command: Command) -> None:
        plain(command)
        before.append(next(harness.learner.model.parameters()).detach().clone())

    harness.trainer._execute = obey  # type: ignore[method-assign]
    harness.trainer.run()
    assert torch.equal(before[0], next(harness.learner.model.parameters()))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_learning_rate_is_ignored_with_a_warning(tmp_path: Path, rate: float) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=1, lr=0.01)
    _send_at(harness, 1, SetLearningRate(0.0, rate))
    harness.trainer.run()
    assert [event.level for event in harness.of(Alert)] == ["warning"]
    assert harness.learner.lr_factor == 1


def test_stop_saves_the_step_it_stopped_at(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=5)
    _send_at(harness, 6, Stop(0.0, "enough"))
    ending = harness.trainer.run()
    assert (ending.reason, ending.message) == (STOPPED, "enough")
    _, manifest, _ = harness.store.load("last")
    assert manifest.step == 6


def test_detach_saves_and_ends_like_stop(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64))
    _send_at(harness, 2, Detach(0.0))
    assert harness.trainer.run().reason == DETACHED
    assert harness.store.load("last")[1].step == 2


def test_a_paused_run_waits_saves_and_continues(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=1)
    steps: list[int] = []

    def on_tick() -> None:
        if harness.learner.step == 2 and not steps:
            harness.inbox.send(Pause(0.0))
        if harness.trainer._is_paused:
            steps.append(harness.learner.step)
            if len(steps) == 3:
                harness.inbox.send(SaveCheckpoint(0.0))
            if len(steps) == 6:
                harness.inbox.send(Resume(0.0))

    harness.trainer.commands.on_tick = on_tick
    assert harness.trainer.run().reason == FINISHED
    assert set(steps) == {2}
    assert [event.value for event in harness.of(Changed) if event.what == "paused"] == [
        "true",
        "false",
    ]
    assert [event.step for event in harness.of(CheckpointSaved) if event.kind == "step"] == [2]
    assert harness.of(EpochEnded)[0].seconds < 5 * 0.05, "time paused is not training time"


def test_a_paused_run_can_be_stopped(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64))
    _send_at(harness, 2, Pause(0.0), Stop(0.0))
    assert harness.trainer.run().reason == STOPPED


def test_a_requested_checkpoint_is_kept_as_a_step_checkpoint(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=2)
    _send_at(harness, 3, SaveCheckpoint(0.0))
    harness.trainer.run()
    payload, manifest, _ = harness.store.load("step")
    assert (manifest.file, payload["step"]) == ("step-4.pt", 4)


def test_patience_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=50, lr=1e-30, patience=2)
    ending = harness.trainer.run()
    assert ending.reason == FINISHED
    assert "no better validation in 2 epochs" in ending.message
    assert harness.learner.epoch == 3
    assert harness.store.load("best")[1].epoch == 1


def test_training_without_validation_has_no_best_checkpoint(tmp_path: Path) -> None:
    full = blobs(64)
    empty = Split("val", full.val.images[:0], full.val.labels[:0], full.val.indices[:0])
    dataset = Dataset(full.info, full.train, empty, full.test, "drawn")
    harness = Harness(tmp_path, dataset, val_fraction=0.0)
    assert harness.trainer.run().reason == FINISHED
    assert harness.store.manifests("best") == []
    assert {event.val_accuracy for event in harness.of(EpochEnded)} == {None}


def test_a_nan_loss_ends_the_run_and_damages_no_checkpoint(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=4, model="mlp")

    def poison() -> None:
        with torch.no_grad():
            next(harness.learner.model.parameters()).fill_(float("nan"))

    _at(harness, 6, poison)
    ending = harness.trainer.run()
    assert ending.reason == FAILED
    assert "stopped being a number" in ending.message and "lr" in ending.message
    for manifest in harness.store.manifests("best") + harness.store.manifests("last"):
        payload, _, _ = harness.store.load(manifest.kind)
        assert all(tensor.isfinite().all() for tensor in payload["weights"].values())
    assert harness.store.manifests("best")[0].step == 4


def test_a_full_disk_is_reported_once_and_training_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=3, checkpoint_seconds=0.0)
    write = harness.store.write

    def full(kind: str, encoded: EncodedCheckpoint) -> object:
        if 3 <= encoded.step <= 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(kind, encoded)

    monkeypatch.setattr(harness.store, "write", full)
    assert harness.trainer.run().reason == FINISHED
    messages = [event.message for event in harness.of(Alert)]
    assert len(messages) == 2
    assert "No space left" in messages[0] and "earlier checkpoints remain" in messages[0]
    assert messages[1] == "checkpoints are saved again"
    assert harness.learner.step == 12


def test_telemetry_describes_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "TELEMETRY_SECONDS", 0.0)
    harness = Harness(tmp_path, blobs(64), epochs=1)
    harness.trainer.run()
    load = harness.of(Telemetry)[-1]
    assert load.memory_mb > 50
    assert load.cpu_percent >= 0
    assert load.gpu_percent is None


@pytest.mark.parametrize(
    "values",
    [
        {"mixup": 0.5},
        {"cutmix": 1.0},
        {"label_smoothing": 0.1, "clip_norm": 1.0},
        {"ema": 0.5, "flip": True, "tta": "flip+shift"},
        {"precision": "bf16"},
        {"crop": 3, "scale": 0.2, "erase": 1.0},
    ],
)
def test_every_training_option_learns(tmp_path: Path, values: dict[str, object]) -> None:
    harness = Harness(tmp_path, blobs(512), epochs=4, model="mlp", width=0.25, lr=3e-3, **values)
    assert harness.trainer.run().reason == FINISHED
    assert harness.learner.best.accuracy > 0.9
    mixed = bool(values.get("mixup") or values.get("cutmix"))
    assert (harness.of(EpochEnded)[0].train_accuracy is None) == mixed


def test_averaged_weights_are_saved(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=1, ema=0.99)
    harness.trainer.run()
    payload, _, _ = harness.store.load("last")
    assert not torch.equal(payload["weights"]["2.weight"], payload["model"]["2.weight"])
    assert torch.equal(payload["model"]["2.weight"], harness.learner.model.state_dict()["2.weight"])


def test_a_failing_compiler_is_a_warning_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Harness(tmp_path / "plain", blobs(64), model="custom-cnn", width=0.1, dropout=0.2)
    plain.trainer.run()

    def broken(model: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        def call(pixels: torch.Tensor) -> torch.Tensor:
            model(pixels)  # moves BatchNorm's statistics and the generator
            raise RuntimeError("no compiler here")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    compiled = Harness(
        tmp_path / "compiled", blobs(64), model="custom-cnn", width=0.1, dropout=0.2, compile=True
    )
    compiled.trainer.run()
    assert "not compiled" in compiled.of(Alert)[0].message
    assert "compiling" in [event.value for event in compiled.of(Changed)]
    for actual, expected in zip(
        plain.learner.model.state_dict().values(),
        compiled.learner.model.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(actual, expected)

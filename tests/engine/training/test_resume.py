"""An interrupted and resumed run ends with exactly the weights of an uninterrupted one."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore
from fmnist_tui.engine.optim.muon import Muon
from fmnist_tui.engine.run.run_started import build_run_started
from fmnist_tui.engine.training.resume import ResumeStart, describe_changes
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import FINISHED, STOPPED, TRAIN, Changed
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from tests.engine.support import Harness, blobs, config, digest, make_learner

SETTINGS = {
    # BatchNorm, dropout, a learning-rate schedule, averaged weights and every kind of
    # randomness that augmentation has
    "model": "custom-cnn",
    "width": 0.25,
    "dropout": 0.3,
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "schedule": "onecycle",
    "ema": 0.9,
    "flip": True,
    "shift": 2,
    "rotate": 10.0,
    "erase": 0.5,
    "mixup": 0.4,
    "epochs": 3,
    "batch_size": 16,
    "checkpoint_seconds": 1000.0,
}
STEPS = 18


def train_with_stops(folder: Path, interruptions: list[int], **values: object) -> str:
    """The weights' hash after training with a stop at each of these steps."""
    dataset = blobs(16 * STEPS // 3)
    for stop_at in [*interruptions, None]:
        harness = Harness(folder, dataset, **{**SETTINGS, **values})
        if harness.store.manifests("last"):
            payload, manifest, notes = harness.store.load("last")
            assert notes == ()
            harness.learner.restore(payload, manifest.file)

        def on_tick(harness: Harness = harness, stop_at: int | None = stop_at) -> None:
            if stop_at is not None and harness.learner.step >= stop_at:
                harness.inbox.send(Stop(time.time()))

        harness.trainer.commands.on_tick = on_tick
        ending = harness.trainer.run()
        assert ending.reason == (FINISHED if stop_at is None else STOPPED)
    assert harness.learner.step == STEPS
    payload, _, _ = harness.store.load("last")
    hashes = digest(payload["model"]) + digest(payload["weights"])
    best, _, _ = harness.store.load("best")
    return hashes + digest(best["weights"])


def test_random_interruptions_do_not_change_the_weights(tmp_path: Path) -> None:
    uninterrupted = train_with_stops(tmp_path / "uninterrupted", [])
    again = train_with_stops(tmp_path / "again", [])
    assert again == uninterrupted, "training itself is not deterministic"
    draw = random.Random(0)
    points = [draw.randrange(1, STEPS) for _ in range(8)]
    assert len(set(points)) > 4
    for number, point in enumerate(points):
        assert train_with_stops(tmp_path / str(number), [point]) == uninterrupted, (
            f"stopped at step {point}"
        )


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
def test_every_optimiser_resumes_exactly_after_several_stops(
    tmp_path: Path, optimizer: str
) -> None:
    lr = {"sgd": 0.05, "adam": 3e-3, "muon": 0.01}[optimizer]
    uninterrupted = train_with_stops(tmp_path / "uninterrupted", [], optimizer=optimizer, lr=lr)
    cut = train_with_stops(tmp_path / "cut", [2, 7, 12], optimizer=optimizer, lr=lr)
    assert cut == uninterrupted


def test_a_changed_learning_rate_still_applies_after_a_resume(tmp_path: Path) -> None:
    dataset = blobs(64)
    harness = Harness(tmp_path, dataset, epochs=2, schedule="constant", lr=0.01)
    harness.learner.set_lr(0.001)
    harness.inbox.send(Stop(time.time()))
    harness.trainer.run()
    again = Harness(tmp_path, dataset, epochs=2, schedule="constant", lr=0.01)
    payload, manifest, _ = again.store.load("last")
    again.learner.restore(payload, manifest.file)
    assert again.learner.lr == pytest.approx(0.001)


def test_a_learning_rate_set_for_a_resume_applies(tmp_path: Path) -> None:
    dataset = blobs(64)
    harness = Harness(tmp_path, dataset, epochs=2, schedule="constant", lr=0.01)
    harness.learner.set_lr(0.001)
    harness.inbox.send(Stop(time.time()))
    harness.trainer.run()
    for lr, expected in ((0.01, 0.001), (0.002, 0.002)):
        again = Harness(tmp_path, dataset, epochs=2, schedule="constant", lr=lr)
        ResumeStart(again.store, again.learner.info).initialise(again.learner, again.store)
        assert again.learner.lr == pytest.approx(expected)


def test_muons_step_count_is_on_the_device_of_its_parameters() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, device="meta"))
    optimizer = Muon([{"params": [parameter], "way": "adam"}], {})
    state = {"step": torch.tensor(3.0), "mean": torch.ones(2), "square": torch.ones(2)}
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": {0: state}, "param_groups": groups})
    assert {tensor.device.type for tensor in optimizer.state[parameter].values()} == {"meta"}


def test_a_resumed_run_does_not_repeat_a_finished_epoch(tmp_path: Path) -> None:
    dataset = blobs(64)
    harness = Harness(tmp_path, dataset, epochs=1)
    harness.trainer.run()
    again = Harness(tmp_path, dataset, epochs=1)
    payload, manifest, _ = again.store.load("last")
    again.learner.restore(payload, manifest.file)
    assert again.trainer.run().reason == FINISHED
    assert not [event for event in again.of(Changed) if event.value == "training"]
    assert again.learner.step == harness.learner.step


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    dataset = blobs(64)
    Harness(tmp_path, dataset, model="mlp", epochs=1).trainer.run()
    payload, manifest, _ = CheckpointStore(tmp_path).load("last")
    other = make_learner(config(model="linear"), dataset)
    with pytest.raises(CheckpointError, match="does not fit the model linear"):
        other.restore(payload, manifest.file)


def test_resuming_from_a_weights_only_checkpoint_is_refused(tmp_path: Path) -> None:
    dataset = blobs(64)
    Harness(tmp_path, dataset, epochs=1).trainer.run()
    payload, manifest, _ = CheckpointStore(tmp_path).load("best")
    with pytest.raises(CheckpointError, match="weights only"):
        make_learner(config(), dataset).restore(payload, manifest.file)


@pytest.mark.parametrize(
    ("device", "written", "said"),
    [
        ("cuda:0", "", "fp32 instead of tf32"),
        ("cuda:0", "deterministic = true\n", ""),
        ("cpu", "", ""),
    ],
)
def test_a_run_of_an_earlier_version_whose_fp32_was_tf32_is_told_the_difference(
    tmp_path: Path, device: str, written: str, said: str
) -> None:
    folder = RunFolder.create(tmp_path, "custom", "fashion")
    folder.config.write_text(
        f'[run]\nrecipe = "custom"\nprecision = "fp32"\n{written}', encoding="utf-8"
    )
    before = RunState()
    started = build_run_started(folder, RunConfig(), TRAIN)
    before.apply(replace(started, device=device))
    changes = describe_changes(folder, RunConfig(precision="fp32"), before)
    assert changes.startswith(said) and bool(changes) == bool(said)

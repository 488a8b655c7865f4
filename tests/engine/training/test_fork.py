"""Runs forked from a checkpoint of another run."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from fmnist_tui.config.recipes import read_recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.commands import SaveCheckpoint, SetLearningRate, Stop
from fmnist_tui.protocol.events import FINISHED, CheckpointSaved, EpochEnded, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from tests.engine import support
from tests.engine.support import (
    Harness,
    Listener,
    blobs,
    config,
    digest,
    make_learner,
    wait_for_end,
)

SETTINGS: dict[str, Any] = {
    "model": "custom-cnn",
    "width": 0.1,
    "dropout": 0.3,
    "schedule": "cosine",
    "shift": 2,
    "ema": 0.9,
    "epochs": 6,
}
STEPS_PER_EPOCH = 4
STOPPED_AT = 9


def settings(**values: Any) -> RunConfig:
    return config(**{**SETTINGS, **values})


@pytest.fixture
def parent(session: Session) -> RunFolder:
    """A run that stopped at step 9, in its third epoch, and kept step-5.pt."""
    folder = RunFolder.create(session.runs_dir, "parent", "blobs")
    harness = Harness(folder.checkpoints, blobs(64), **SETTINGS)

    def on_tick() -> None:
        if (harness.learner.step, harness.learner.epoch) == (4, 1):
            harness.inbox.send(SaveCheckpoint(0.0))
        if harness.learner.step == 8:
            harness.inbox.send(SetLearningRate(0.0, 1e-3))
        if harness.learner.step == STOPPED_AT:
            harness.inbox.send(Stop(0.0))

    harness.trainer.commands.on_tick = on_tick
    harness.trainer.run()
    return folder


def train_fork(
    session: Session, parent: RunFolder, checkpoint: str = "last", **values: Any
) -> tuple[RunFolder, Listener]:
    """Fork a run and train the fork to its end."""
    return wait_for_end(session, session.fork(parent, checkpoint, settings(**values)))


def refusal(session: Session, parent: RunFolder, checkpoint: str = "last", **values: Any) -> str:
    """The error of a fork that cannot start."""
    return support.refusal(session, lambda: session.fork(parent, checkpoint, settings(**values)))


def start_event(listener: Listener) -> RunStarted:
    return next(event for event in listener.events if isinstance(event, RunStarted))


def read_files(folder: RunFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_a_fork_continues_from_the_step_in_its_own_folder(
    session: Session, parent: RunFolder
) -> None:
    before = read_files(parent)
    folder, listener = train_fork(session, parent)
    assert folder.path != parent.path and read_files(parent) == before
    assert start_event(listener).step == STOPPED_AT
    file = CheckpointStore(parent.checkpoints).manifests("last")[0].file
    assert listener.notes == [f"forked from {parent.name} at step 9 ({file})"]
    assert [event.step for event in listener.events if isinstance(event, EpochEnded)] == [
        12,
        16,
        20,
        24,
    ]
    made_with = tomllib.loads(folder.config.read_text())["made_with"]
    assert (made_with["forked_from"], made_with["forked_step"]) == (parent.name, STOPPED_AT)
    state = replay(folder.events)
    assert (state.end_reason, state.step, state.time.train_steps) == (FINISHED, 24, 15)


def test_a_fork_with_the_same_settings_trains_identically_bit_for_bit(
    session: Session, tmp_path: Path
) -> None:
    parent = RunFolder.create(session.runs_dir, "parent", "blobs")
    payloads = []
    for folder, stop_at in ((tmp_path / "uninterrupted", None), (parent.checkpoints, STOPPED_AT)):
        harness = Harness(folder, blobs(64), **SETTINGS)

        def on_tick(harness: Harness = harness, stop_at: int | None = stop_at) -> None:
            if harness.learner.step == stop_at:
                harness.inbox.send(Stop(0.0))

        harness.trainer.commands.on_tick = on_tick
        harness.trainer.run()
        payloads.append(harness.store.load("last")[0])
    uninterrupted = payloads[0]
    fork = CheckpointStore(train_fork(session, parent)[0].checkpoints).load("last")[0]
    assert digest(fork["model"]) == digest(uninterrupted["model"]) != digest(payloads[1]["model"])
    assert digest(fork["weights"]) == digest(uninterrupted["weights"])


def test_a_fork_uses_the_new_settings_and_not_rates_changed_during_the_run(
    session: Session, parent: RunFolder
) -> None:
    _, listener = train_fork(session, parent, schedule="constant", lr=0.02, epochs=4)
    assert {event.lr for event in listener.events if isinstance(event, EpochEnded)} == {0.02}
    payload, manifest, _ = CheckpointStore(parent.checkpoints).load("last")
    again = make_learner(settings(weight_decay=0.25, lr=0.02), blobs(64))
    again.restore(payload, manifest.file)
    groups = again._optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.25, 0.0]
    assert all(group["lr"] is again._rates.base for group in groups)


def test_a_step_checkpoint_is_forked_by_its_file_name(session: Session, parent: RunFolder) -> None:
    for name in ("step-5.pt", "step-5"):
        _, listener = train_fork(session, parent, name)
        assert start_event(listener).step == 5
        assert "(step-5.pt)" in listener.notes[0]


def test_the_best_epoch_of_a_fork_is_its_own(session: Session, parent: RunFolder) -> None:
    folder, listener = train_fork(session, parent, epochs=3)
    ends = [event for event in listener.events if isinstance(event, EpochEnded)]
    assert [(event.epoch, event.best) for event in ends] == [(3, True)]
    assert CheckpointStore(folder.checkpoints).manifests("best")[0].step == 12


def test_a_fork_from_weights_only_starts_at_step_0(session: Session, parent: RunFolder) -> None:
    best = CheckpointStore(parent.checkpoints).load("best")[0]
    folder, listener = train_fork(session, parent, "best", epochs=1, lr=1e-30, schedule="constant")
    assert start_event(listener).step == 0
    assert listener.notes[0].startswith(f"forked from {parent.name} at step ")
    last = CheckpointStore(folder.checkpoints).load("last")[0]
    assert last["step"] == STEPS_PER_EPOCH
    name = next(name for name, tensor in best["weights"].items() if tensor.ndim == 4)
    # both the weights and their average start from the parent's
    assert torch.allclose(last["model"][name], best["weights"][name], atol=1e-6)
    assert torch.allclose(last["weights"][name], best["weights"][name], atol=1e-6)


def test_a_changed_batch_size_restarts_the_epoch(session: Session, parent: RunFolder) -> None:
    _, listener = train_fork(session, parent, batch_size=8)
    start = start_event(listener)
    assert (start.step, start.steps_per_epoch) == (2 * 8, 8)
    assert "epoch 3 starts again" in listener.notes[1]
    ends = [event for event in listener.events if isinstance(event, EpochEnded)]
    assert [event.step for event in ends] == [24, 32, 40, 48]


def test_a_resumed_fork_still_records_its_parent(session: Session, parent: RunFolder) -> None:
    folder, _ = train_fork(session, parent, epochs=4)
    listener = Listener(session.resume(folder, read_recipe(folder.config).config(epochs=5)))
    assert listener.wait_for_end().reason == FINISHED
    made_with = tomllib.loads(folder.config.read_text())["made_with"]
    assert (made_with["forked_from"], made_with["forked_step"]) == (parent.name, STOPPED_AT)


def test_an_ordinary_run_does_not_mention_a_fork(session: Session) -> None:
    training = session.train(config(epochs=1))
    Listener(training).wait_for_end()
    assert training.folder is not None
    assert "forked" not in training.folder.config.read_text()


@pytest.mark.parametrize(
    ("checkpoint", "values", "message"),
    [
        ("step-6.pt", {}, "no checkpoint step-6.pt (there are last, best, step-5.pt)"),
        ("../../x\x1b.pt", {}, "no checkpoint ../../x␛.pt"),
        ("last", {"model": "mlp"}, "does not fit the model mlp"),
        ("best", {"width": 0.2}, "does not fit the model custom-cnn"),
        ("last", {"optimizer": "sgd"}, "continues with optimizer adamw, not sgd"),
        ("last", {"epochs": 2}, "set epochs above that"),
        ("last", {"split_seed": 1}, "split_seed 0 / 1: it was trained on images"),
        ("best", {"val_fraction": 0.3}, "val_fraction 0.166667 / 0.3: it was trained on"),
        ("best", {"val_fraction": 0.0, "split_seed": 1}, "was trained on images"),
    ],
)
def test_a_fork_that_does_not_fit_is_refused_before_there_is_a_folder(
    session: Session, parent: RunFolder, checkpoint: str, values: dict[str, Any], message: str
) -> None:
    assert message in refusal(session, parent, checkpoint, **values)


def test_other_classes_are_refused_with_their_names(
    session: Session, parent: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: blobs(64, classes=3))
    message = refusal(session, parent)
    assert "was trained on other classes (T-shirt/top, Trouser, Pullover, Dress)" in message
    assert "sketches has (T-shirt/top, Trouser, Pullover)" in message


def test_a_missing_best_is_not_replaced_by_last(session: Session, parent: RunFolder) -> None:
    for path in parent.checkpoints.glob("best-*"):
        path.unlink()
    assert "there is no best checkpoint yet; fork from last" in refusal(session, parent, "best")
    for path in parent.checkpoints.iterdir():
        path.unlink()
    assert "no checkpoint yet" in refusal(session, parent)


def test_weights_only_allow_another_optimiser_and_length(
    session: Session, parent: RunFolder
) -> None:
    _, listener = train_fork(session, parent, "best", epochs=1, optimizer="sgd", ema=0.0)
    assert [event.kind for event in listener.events if isinstance(event, CheckpointSaved)] == [
        "best",
        "last",
    ]


def test_averaging_may_start_or_end_with_a_fork(session: Session, parent: RunFolder) -> None:
    without, _ = train_fork(session, parent, ema=0.0)
    payload = CheckpointStore(without.checkpoints).load("last")[0]
    assert digest(payload["model"]) == digest(payload["weights"])
    again, _ = train_fork(session, without, ema=0.5, epochs=8)
    payload = CheckpointStore(again.checkpoints).load("last")[0]
    assert digest(payload["model"]) != digest(payload["weights"])

"""Runs that start with the weights of another run, or with those in a file."""

from __future__ import annotations

import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fmnist_tui.config.recipes import read_recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training import freezing
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.transfer import TransferStart
from fmnist_tui.protocol.events import FAILED, Evaluated, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.errors import UserError
from tests.engine import support
from tests.engine.support import PATIENCE, Harness, Listener, blobs, config, wait_for_end

SETTINGS: dict[str, Any] = {"model": "custom-cnn", "width": 0.1, "ema": 0.9, "epochs": 2}
FIXED = {"lr": 1e-30, "schedule": "constant", "epochs": 1}


def settings(**values: Any) -> RunConfig:
    return config(**{**SETTINGS, **values})


@pytest.fixture
def parent(session: Session) -> RunFolder:
    """A run of four classes, trained to its end."""
    folder = RunFolder.create(session.runs_dir, "parent", "blobs")
    folder.events.touch()
    Harness(folder.checkpoints, blobs(64), **SETTINGS).trainer.run()
    return folder


@pytest.fixture
def other_classes(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Three classes instead of four, from now on."""
    dataset = blobs(64, classes=3, seed=5)
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: dataset)
    return dataset


def train(session: Session, **values: Any) -> tuple[RunFolder, Listener]:
    return wait_for_end(session, session.train(settings(**values)))


def refusal(session: Session, **values: Any) -> str:
    """The error of a training that cannot start."""
    return support.refusal(session, lambda: session.train(settings(**values)))


def best(folder: RunFolder) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = CheckpointStore(folder.checkpoints).load("best")[0]["weights"]
    return weights


# -- from a run --------------------------------------------------------------------------


def test_the_head_is_copied_for_the_same_classes(session: Session, parent: RunFolder) -> None:
    folder, listener = train(session, start=parent.id, **FIXED, ema=0.0)
    before, after = best(parent), best(folder)
    learnt = [name for name, tensor in before.items() if tensor.ndim >= 2]
    assert len(learnt) == 5
    assert all(torch.allclose(after[name], before[name], atol=1e-6) for name in learnt)
    started = next(event for event in listener.events if isinstance(event, RunStarted))
    assert started.step == 0
    file = CheckpointStore(parent.checkpoints).manifests("best")[0].file
    assert listener.notes[0] == (
        f"started from {parent.name} at step 8 ({file}); all 22 tensors copied, including the head"
    )


def test_other_classes_get_a_new_head_and_the_rest_is_copied(
    session: Session, parent: RunFolder, other_classes: Dataset
) -> None:
    folder, listener = train(session, start=parent.name, **FIXED, ema=0.0)
    before, after = best(parent), best(folder)
    assert after["17.weight"].shape[0] == 3 and before["17.weight"].shape[0] == 4
    assert torch.allclose(after["14.weight"], before["14.weight"], atol=1e-6)
    assert "20 tensors copied, new: 17" in listener.notes[0]


def test_renewed_parts_are_initialised_from_the_seed(session: Session, parent: RunFolder) -> None:
    folder, listener = train(session, start="last", renew="dense", **FIXED, ema=0.0)
    after = best(folder)
    fresh = Learner(
        ModelInfo.from_dataset(settings(), blobs(64)), blobs(64), choose_device(settings())
    )
    own = fresh.model.state_dict()
    assert torch.allclose(after["14.weight"], own["14.weight"], atol=1e-6)
    assert torch.allclose(after["17.weight"], own["17.weight"], atol=1e-6)
    assert torch.allclose(after["0.weight"], best(parent)["0.weight"], atol=1e-6)
    assert "new: 14, 17" in listener.notes[0]


def test_config_toml_records_the_origin_and_starts_the_same_run_again(
    session: Session, parent: RunFolder
) -> None:
    folder, _ = train(session, start=parent.id, **FIXED)
    manifest = CheckpointStore(parent.checkpoints).manifests("best")[0]
    document = tomllib.loads(folder.config.read_text())
    assert document["run"]["start"] == parent.name
    made_with = document["made_with"]
    assert made_with["started_from"] == parent.name
    assert made_with["started_checkpoint"] == manifest.file
    assert made_with["started_step"] == manifest.step
    assert made_with["started_sha256"] == manifest.sha256
    again, _ = wait_for_end(session, session.train(read_recipe(folder.config).config()))
    assert all(best(again)[name].equal(tensor) for name, tensor in best(folder).items())


def test_a_checkpoint_of_a_run_is_a_start_by_its_path(session: Session, parent: RunFolder) -> None:
    file = parent.checkpoints / CheckpointStore(parent.checkpoints).manifests("last")[0].file
    folder, listener = train(session, start=str(file), **FIXED)
    assert f"({file.name})" in listener.notes[0]
    assert tomllib.loads(folder.config.read_text())["run"]["start"] == str(file)


def test_averages_start_from_the_copied_weights(session: Session, parent: RunFolder) -> None:
    folder, _ = train(session, start=parent.id, **FIXED)
    assert torch.allclose(best(folder)["0.weight"], best(parent)["0.weight"], atol=1e-6)


# -- frozen parts ---------------------------------------------------------------------------


def test_the_events_prove_that_frozen_parts_are_unchanged(
    session: Session, parent: RunFolder, other_classes: Dataset
) -> None:
    folder, listener = train(session, start=parent.id, freeze="convolutions", shift=1, lr=0.01)
    frozen = {name: best(parent)[name] for name in best(parent) if int(name.split(".")[0]) <= 10}
    assert len(frozen) == 18
    assert all(best(folder)[name].equal(tensor) for name, tensor in frozen.items())
    message = listener.notes
    assert message[1].startswith("frozen: convolutions (18 tensors, ")
    digest = message[1].rpartition("sha256 ")[2].rstrip(")")
    assert message[2] == f"frozen parts unchanged: 18 tensors, sha256 {digest}"
    assert replay(folder.events).frozen_unchanged is True
    assert replay(folder.events).evaluation("test") is not None


def test_a_run_whose_frozen_parts_changed_fails_and_is_not_tested(
    session: Session, parent: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezing, "_keep_in_eval_mode", lambda module: None)
    training = session.train(settings(start=parent.id, freeze="convolutions"))
    folder, listener = wait_for_end(session, training, FAILED)
    state = replay(folder.events)
    assert state.frozen_unchanged is False
    assert state.message.startswith("frozen parts changed: 18 tensors, sha256 ")
    assert [alert.level for alert in state.alerts][-1] == "error"
    assert not [event for event in listener.events if isinstance(event, Evaluated)]


def test_a_run_without_frozen_parts_does_not_mention_them(
    session: Session, parent: RunFolder
) -> None:
    folder, _ = train(session, start=parent.id, **FIXED)
    assert replay(folder.events).frozen_unchanged is None


def test_a_resumed_run_keeps_its_frozen_parts_after_its_start_was_deleted(
    session: Session, parent: RunFolder
) -> None:
    folder, _ = train(session, start=parent.id, freeze="convolutions")
    shutil.rmtree(parent.path)
    longer = read_recipe(folder.config).config(epochs=3)
    _, listener = wait_for_end(session, session.resume(folder, longer))
    frozen = [note for note in listener.notes if "frozen" in note]
    assert len(frozen) == 2 and frozen[1].startswith("frozen parts unchanged")
    made_with = tomllib.loads(folder.config.read_text())["made_with"]
    assert made_with["started_from"] == parent.name


def test_a_full_fork_keeps_its_frozen_parts_and_refuses_to_unfreeze(
    session: Session, parent: RunFolder
) -> None:
    folder, _ = train(session, start=parent.id, freeze="convolutions", body_lr=0.5)
    longer = read_recipe(folder.config).config(epochs=3)
    _, listener = wait_for_end(session, session.fork(folder, "last", longer))
    assert listener.notes[-1].startswith("frozen parts unchanged")
    for change, message in (
        ({"freeze": ""}, "continues with freeze convolutions, not none"),
        ({"body_lr": 1.0}, "continues with body_lr 0.5, not 1.0"),
        ({"start": "elsewhere"}, "not from start = 'elsewhere'"),
    ):
        training = session.fork(folder, "last", longer.changed(**change))
        assert training.wait(PATIENCE) and message in str(training.error)
        while session.training is not None:
            time.sleep(0.01)
    unfrozen = longer.changed(freeze="", body_lr=0.1)
    _, listener = wait_for_end(session, session.fork(folder, "best", unfrozen))
    assert not [note for note in listener.notes if "frozen" in note]


# -- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"start": "nothing"}, 'start: no run matches "nothing"'),
        ({"start": "gone.pth"}, "start = 'gone.pth': there is no such file"),
        ({"start": "parent", "model": "mlp"}, "holds a custom-cnn of width 0.1, not a mlp"),
        ({"start": "parent", "width": 0.3}, "use --model custom-cnn --width 0.1"),
        ({"start": "parent", "freeze": "convs"}, "there is no part 'convs'; did you mean"),
        ({"start": "parent", "freeze": "*"}, "leaves nothing to learn"),
        ({"start": "parent", "renew": "99"}, "renew: there is no part '99'"),
        ({"start": "parent", "split_seed": 1}, "split_seed 0 / 1: it was trained on images"),
        (
            {"start": "parent", "renew": "dense", "freeze": "14"},
            "14.bias is new in this run and cannot be frozen",
        ),
    ],
)
def test_an_impossible_start_is_refused_before_there_is_a_folder(
    session: Session, parent: RunFolder, values: dict[str, Any], message: str
) -> None:
    assert message in refusal(session, **values)


def test_a_new_head_cannot_be_frozen(
    session: Session, parent: RunFolder, other_classes: Dataset
) -> None:
    message = refusal(session, start="parent", freeze="17")
    assert "17.bias is new in this run and cannot be frozen" in message


def test_a_run_without_a_checkpoint_cannot_be_started_from(session: Session) -> None:
    folder = RunFolder.create(session.runs_dir, "empty", "blobs")
    folder.events.touch()
    assert "there is no checkpoint yet" in refusal(session, start=folder.id)


# -- a published network from a file -----------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A torchvision network as published: 3 channels, 1,000 classes."""
    import torchvision

    torch.manual_seed(3)
    weights: dict[str, Tensor] = torchvision.models.resnet18(weights=None).state_dict()
    return weights


def _save_pth(weights: dict[str, Tensor], folder: Path) -> Path:
    torch.save(weights, folder / "resnet18.pth")
    return folder / "resnet18.pth"


def _save_safetensors(weights: dict[str, Tensor], folder: Path) -> Path:
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
        # Old files lack these counters.
        if not name.endswith("num_batches_tracked")
    }
    save_file(half, folder / "resnet18.safetensors")
    return folder / "resnet18.safetensors"


@pytest.mark.parametrize("save", [_save_pth, _save_safetensors])
def test_a_published_backbone_is_copied_except_for_stem_and_head(
    tmp_path: Path,
    published: dict[str, Tensor],
    save: Callable[[dict[str, Tensor], Path], Path],
) -> None:
    file = save(published, tmp_path)
    settings_ = config(model="torchvision:resnet18", start=str(file), freeze="layer1")
    dataset = blobs(16)
    about = ModelInfo.from_dataset(settings_, dataset)
    start = TransferStart(settings_, tmp_path)
    start.check(about)
    learner = Learner(about, dataset, choose_device(settings_))
    note = start.initialise(learner, CheckpointStore(tmp_path))[0]
    weights = learner.model.state_dict()
    assert weights["fc.weight"].shape == (4, 512)
    for name, tensor in published.items():
        if not name.startswith(("fc.", "conv1.")):
            assert torch.allclose(weights[name].double(), tensor.double(), atol=1e-3), name
    shrunk = weights["conv1.weight"]
    assert shrunk.shape == (64, 1, 3, 3)
    # The response of a filter to a uniform grey image is unchanged.
    uniform = published["conv1.weight"].sum((1, 2, 3))
    assert torch.allclose(shrunk.sum((1, 2, 3)), uniform, atol=1e-2)
    assert "3 channels summed to 1" in note and "7×7 to 3×3" in note and "new: fc" in note
    assert start.provenance["started_from"] == str(file)
    assert len(str(start.provenance["started_sha256"])) == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("layer3.0.conv1.weight"), "layer3.0.conv1.weight is missing"),
        (
            lambda weights: weights.update({"layer9.weight": torch.zeros(2)}),
            "it has no layer9.weight",
        ),
        (
            lambda weights: weights.update({"bn1.bias": torch.zeros(3)}),
            "bn1.bias is 3, expected 64",
        ),
        (
            lambda weights: weights.update({"conv1.weight": torch.zeros(64, 4, 7, 7)}),
            "conv1.weight is 64×4×3×3, expected 64×1×3×3",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_what_does_not_fit(
    published: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Tensor]], object],
    message: str,
) -> None:
    from fmnist_tui.engine.checkpoints import weights_source

    weights = dict(published)
    change(weights)
    file = tmp_path / "wrong.pth"
    file.touch()
    loaded = weights_source.LoadedWeights(
        {"weights": weights}, str(file), file.name, "0" * 64, 0, 0
    )
    monkeypatch.setattr(weights_source, "load_from_file", lambda path: loaded)
    settings_ = config(model="torchvision:resnet18", start=str(file))
    with pytest.raises(UserError) as caught:
        TransferStart(settings_, tmp_path).check(ModelInfo.from_dataset(settings_, blobs(16)))
    line = str(caught.value)
    assert message in line and "wrong.pth" in line and "resnet18" in line and "\n" not in line


def test_a_file_without_weights_is_refused_by_the_reading_process(
    session: Session, parent: RunFolder, tmp_path: Path
) -> None:
    file = tmp_path / "evil.pth"
    file.write_bytes(b"\x80\x04cos\nsystem\n.")
    assert "evil.pth: refused" in refusal(session, start=str(file))

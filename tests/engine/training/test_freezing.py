"""The parts of a network, and frozen parts that stay unchanged to the last bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fmnist_tui.config import plugins
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.training import freezing
from fmnist_tui.engine.training.freezing import FrozenParts, head_name, select_tensors
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import FINISHED, STOPPED
from fmnist_tui.util.errors import UserError
from tests.engine.support import Harness, blobs, config, digest, make_learner

SETTINGS: dict[str, Any] = {
    "model": "custom-cnn",
    "width": 0.2,
    "dropout": 0.2,
    "start": "another",
    "ema": 0.9,
    "shift": 2,
    "epochs": 3,
    "checkpoint_seconds": 1000.0,
}
STEPS = 12


def network(name: str, classes: int = 4) -> nn.Module:
    model: nn.Module = plugins.load_plugin("models", name).build(
        ModelSpec(1, 28, classes, width=0.2)
    )
    return model


@pytest.mark.parametrize(
    ("name", "last"),
    [("two-conv", "11"), ("linear", "2"), ("fast", "body.15"), ("resnet", "15")],
)
def test_the_head_is_the_layer_that_outputs_the_classes(name: str, last: str) -> None:
    model = network(name)
    assert head_name(model) == last
    assert model.state_dict()[f"{last}.weight"].shape[0] == 4


def test_a_convolution_is_the_head_without_a_dense_layer_after_it() -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1))
    assert head_name(model) == "2"
    assert select_tensors(model, "convolutions", "freeze") == set(model.state_dict()) - {
        "2.weight",
        "2.bias",
    }
    assert select_tensors(model, "dense", "renew") == {"2.weight", "2.bias"}


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        ("convolutions", [0, 2, 4, 6, 8, 10]),
        ("dense", [14, 17]),
        ("body", [0, 2, 4, 6, 8, 10, 14]),
        ("0, 2", [0, 2]),
        ("1?", [10, 14, 17]),
        ("convolutions, 14", [0, 2, 4, 6, 8, 10, 14]),
    ],
)
def test_parts_are_selected_by_kind_name_and_pattern(words: str, modules: list[int]) -> None:
    model = network("custom-cnn")
    names = {int(name.partition(".")[0]) for name in select_tensors(model, words, "freeze")}
    assert sorted(names) == modules


def test_norms_and_their_statistics_belong_to_the_convolutions() -> None:
    names = select_tensors(network("resnet"), "convolutions", "freeze")
    assert {"1.weight", "1.running_mean", "1.running_var", "1.num_batches_tracked"} <= names
    assert not any(name.startswith("15.") for name in names)


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ("two-conv", "convolution", 'did you mean "convolutions"? (its parts are 0 (Conv2d), 3'),
        ("two-conv", "9\x1b", "there is no part '9␛'"),
        ("fast", "body.14x", "body.15 (Linear)"),
        ("linear", "convolutions", "convolutions has no weights here (its parts are 2 (Linear))"),
        ("linear", "body", "body has no weights here"),
        ("two-conv", "*", "leaves nothing to learn"),
        ("two-conv", "convolutions, dense", "leaves nothing to learn"),
    ],
)
def test_unfreezable_parts_are_refused_in_one_line_that_lists_the_parts(
    model: str, words: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        FrozenParts(network(model), words)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert "its parts are" in str(caught.value)


def test_frozen_norms_stay_in_evaluation_mode() -> None:
    learner = make_learner(config(**SETTINGS, freeze="convolutions"), blobs(64))
    norms = [part for part in learner.model.modules() if isinstance(part, nn.BatchNorm2d)]
    learner.make_step()
    assert learner.model.training and len(norms) == 3
    assert not any(norm.training for norm in norms)
    learner.predict_logits(learner.train)
    learner.model.train()
    assert not any(norm.training for norm in norms)
    assert learner.model.get_submodule("13").training, "dropout is not frozen"
    assert not any(
        parameter.requires_grad
        for name, parameter in learner.model.named_parameters()
        if int(name.partition(".")[0]) <= 10
    )


def _run(folder: Path, stops: list[int], **values: object) -> tuple[str, Learner]:
    """The weights' hash after training with a stop at each of these steps."""
    for stop_at in [*stops, None]:
        harness = Harness(folder, blobs(64), **{**SETTINGS, **values})
        learner = harness.learner
        if harness.store.manifests("last"):
            payload, manifest, _ = harness.store.load("last")
            learner.restore(payload, manifest.file)
        if learner.frozen is not None:
            learner.frozen.record_hash(learner.model.state_dict())

        def on_tick(harness: Harness = harness, stop_at: int | None = stop_at) -> None:
            if harness.learner.step == stop_at:
                harness.inbox.send(Stop(time.time()))

        harness.trainer.commands.on_tick = on_tick
        assert harness.trainer.run().reason == (FINISHED if stop_at is None else STOPPED)
    payload, _, _ = harness.store.load("last")
    return digest(payload["model"]) + digest(payload["weights"]), learner


def test_frozen_parts_are_unchanged_to_the_last_bit_after_training(tmp_path: Path) -> None:
    dataset = blobs(64)
    before = make_learner(config(**SETTINGS, freeze="convolutions"), dataset)
    _, after = _run(tmp_path, [], freeze="convolutions")
    assert after.frozen is not None and before.frozen is not None
    assert after.step == STEPS
    state = after.model.state_dict()
    assert after.frozen.sha256 == before.frozen.hash_state(before.model.state_dict())
    is_unchanged, text = after.frozen.verify(state, after.weights_payload()["weights"])
    assert is_unchanged and text == f"18 tensors, sha256 {after.frozen.sha256[:16]}"
    moved = [
        name for name, tensor in before.model.state_dict().items() if not tensor.equal(state[name])
    ]
    assert sorted(moved) == ["14.bias", "14.weight", "17.bias", "17.weight"]


def test_changed_statistics_are_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "_keep_in_eval_mode", lambda module: None)
    _, after = _run(tmp_path, [], freeze="convolutions")
    assert after.frozen is not None
    is_unchanged, text = after.frozen.verify(after.model.state_dict())
    assert not is_unchanged and "is now" in text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state["0.weight"].view(-1)[7].add_(1e-7),
        lambda state: state["2.running_var"][0].mul_(1.0001),
        lambda state: state["2.num_batches_tracked"].add_(1),
        lambda state: state.update({"0.weight": state["0.weight"].double()}),
        lambda state: state.update({"0.weight": state["0.weight"].flatten(1)}),
    ],
)
def test_the_hash_covers_every_byte_type_and_shape(
    spoil: Callable[[dict[str, Any]], object],
) -> None:
    model = network("custom-cnn")
    frozen = FrozenParts(model, "convolutions")
    frozen.record_hash(model.state_dict())
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert frozen.verify(state)[0]
    spoil(state)
    assert not frozen.verify(state)[0]


def test_averaging_does_not_touch_frozen_parts_even_a_negative_zero() -> None:
    learner = make_learner(config(**SETTINGS, freeze="convolutions"), blobs(64))
    with torch.no_grad():
        learner.model.state_dict()["0.weight"].fill_(-0.0)
    learner.load_weights(learner.model.state_dict(), "here")
    rows = learner.order.epoch_indices(0)
    learner.make_step().run(rows, learner.next_rates(len(rows)))
    averaged = learner.weights_payload()["weights"]["0.weight"]
    assert torch.signbit(averaged).all()


@pytest.mark.parametrize(
    "values",
    [
        {"freeze": "convolutions"},
        {"freeze": "0, 2", "body_lr": 0.3},
        {"body_lr": 0.1, "optimizer": "muon", "lr": 0.01},
        {"freeze": "convolutions", "body_lr": 0.5, "optimizer": "sgd", "lr": 0.05},
    ],
)
def test_a_resumed_run_with_frozen_and_slower_parts_is_identical(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    uninterrupted, before = _run(tmp_path / "uninterrupted", [], **values)
    interrupted, after = _run(tmp_path / "interrupted", [2, 7, 10], **values)
    assert interrupted == uninterrupted
    if before.frozen is not None and after.frozen is not None:
        assert after.frozen.sha256 == before.frozen.sha256


def test_after_a_resume_the_first_hash_is_used(tmp_path: Path) -> None:
    learner = make_learner(config(**SETTINGS, freeze="convolutions"), blobs(64))
    assert learner.frozen is not None
    learner.frozen.record_hash(learner.model.state_dict())
    payload = learner.full_payload()
    payload["model"] = {**payload["model"], "0.weight": payload["model"]["0.weight"] + 1}
    again = make_learner(config(**SETTINGS, freeze="convolutions"), blobs(64))
    assert again.frozen is not None
    again.restore(payload, "here")
    again.frozen.record_hash(again.model.state_dict())
    assert not again.frozen.verify(again.model.state_dict())[0]


@pytest.mark.parametrize(
    ("optimizer", "renew", "new"),
    [
        *((optimizer, "", ("17.",)) for optimizer in ("sgd", "adam", "adamw", "muon")),
        ("sgd", "dense", ("14.", "17.")),
    ],
)
def test_the_body_learns_at_its_fraction_of_the_rate(
    optimizer: str, renew: str, new: tuple[str, ...]
) -> None:
    settings = {**SETTINGS, "optimizer": optimizer, "momentum": 0.0, "ema": 0.0, "dropout": 0.0}
    moves = []
    for factor in (1.0, 0.25):
        settings_ = config(**settings, lr=1e-3, body_lr=factor, renew=renew)
        learner = make_learner(settings_, blobs(64))
        before = {name: tensor.clone() for name, tensor in learner.model.named_parameters()}
        learner.make_step().run(learner.order.epoch_indices(0)[:1], learner.next_rates(1))
        moves.append(
            {name: tensor - before[name] for name, tensor in learner.model.named_parameters()}
        )
    full, slowed = moves
    for name, move in full.items():
        share = 1.0 if name.startswith(new) else 0.25
        assert torch.allclose(slowed[name], share * move, atol=2e-7), name


def test_the_schedule_and_a_changed_rate_apply_to_head_and_body(tmp_path: Path) -> None:
    learner = make_learner(config(**SETTINGS, body_lr=0.1, schedule="cosine"), blobs(64))
    learner.step = 3
    learner.set_lr(0.02)
    learner.make_step().run(learner.order.epoch_indices(0)[:1], learner.next_rates(1))
    rates = {round(float(group["lr"]), 6) for group in learner._optimizer.param_groups}
    assert rates == {0.02, 0.002}

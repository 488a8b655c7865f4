"""Training on a GPU: eager and captured steps, every precision, exact resumes and searches."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED, EpochEnded, Evaluated, LrProbed, RunStarted
from fmnist_tui.util.errors import UserError
from tests.engine.support import Harness, Listener, blobs, config, graph_sizes, make_learner
from tests.engine.training.test_lr_search_in_run import FIND, SHORT, train_with_commands
from tests.engine.training.test_resume import train_with_stops

CUDA: dict[str, Any] = {"device": "cuda", "precision": "fp32"}
FROZEN = {"width": 0.2, "start": "another", "ema": 0.9, "freeze": "0, 2", "body_lr": 0.5}
ONCE = {"flip": True, "alternate_flip": True, "shift": 2, "erase": 0.5, "augment_once": True}
METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "frozen": FROZEN,
    "muon": {"optimizer": "muon"},
    "renormalised": {"optimizer": "renormalised-muon"},
    "once": ONCE,
    "alternating": {"flip": True, "alternate_flip": True},
    "lookahead": {"ema": 0.9, "lookahead": 3},
    "fmix": {"fmix": 1.0},
}


def test_a_gpu_that_does_not_exist_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="numbered from 0"):
        choose_device(config(device="cuda:99"))


@pytest.mark.parametrize(
    ("precision", "graph"),
    [("fp32", False), ("fp32", True), ("bf16", True), ("fp16", False), ("fp16", True)],
)
def test_a_short_training_learns_in_every_precision(
    tmp_path: Path, precision: str, graph: bool
) -> None:
    values = {"device": "cuda", "precision": precision, "cuda_graph": graph}
    harness = Harness(
        tmp_path, blobs(512), **values, model="two-conv", epochs=3, batch_size=32, lr=1e-3
    )
    assert harness.trainer.run().reason == FINISHED
    assert bool(graph_sizes(harness.trainer._step)) == graph
    assert harness.of(EpochEnded)[-1].val_accuracy >= 0.9


@pytest.mark.parametrize("method", METHODS)
def test_captured_steps_learn_the_same_as_eager_ones(method: str) -> None:
    settings = METHODS[method]
    dataset, losses = blobs(512), []
    for graph in (False, True):
        learner = make_learner(
            config(**CUDA, cuda_graph=graph, model="custom-cnn", lr=1e-3, **settings), dataset
        )
        if learner.frozen is not None:
            learner.frozen.record_hash(learner.model.state_dict())
        step = learner.make_step()
        for epoch in range(2):
            learner.epoch = epoch
            rows = learner.begin_epoch()
            step.run(rows, learner.next_rates(len(rows)))
            learner.step += len(rows)
        losses.append(step.read_totals()[0])
        assert bool(graph_sizes(step)) == graph
        if learner.frozen is not None:
            averaged = learner.weights_payload()["weights"]
            assert learner.frozen.verify(learner.model.state_dict(), averaged)[0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_muon_learns_in_fp16(tmp_path: Path) -> None:
    values = {"device": "cuda", "precision": "fp16", "optimizer": "muon", "lr": 0.02}
    harness = Harness(tmp_path, blobs(512), **values, model="two-conv", epochs=3, batch_size=32)
    assert harness.trainer.run().reason == FINISHED
    assert harness.of(EpochEnded)[-1].val_accuracy >= 0.9


def test_a_run_with_all_that_an_epoch_draws_once_resumes_exactly(tmp_path: Path) -> None:
    settings = {**CUDA, **ONCE, "rotate": 0.0, "mixup": 0.0, "fmix": 1.0, "lookahead": 4}
    uninterrupted = train_with_stops(tmp_path / "uninterrupted", [], **settings)
    assert train_with_stops(tmp_path / "cut", [2, 7, 12], **settings) == uninterrupted


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "captured"])
def test_a_resumed_run_ends_with_exactly_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, graph: bool
) -> None:
    uninterrupted = train_with_stops(tmp_path / "uninterrupted", [], **CUDA, cuda_graph=graph)
    again = train_with_stops(tmp_path / "again", [], **CUDA, cuda_graph=graph)
    assert again == uninterrupted, "training itself is not deterministic"
    cut = train_with_stops(tmp_path / "cut", [2, 7, 12], **CUDA, cuda_graph=graph)
    assert cut == uninterrupted


@pytest.mark.parametrize("at", [0, 2, 7])
def test_a_training_with_a_cuda_graph_and_a_search_ends_like_one_without(
    tmp_path: Path, at: int
) -> None:
    plain, _ = train_with_commands(tmp_path / "plain", **CUDA)
    with_search, harness = train_with_commands(tmp_path / "searched", FIND, at=at, **CUDA)
    assert graph_sizes(harness.trainer._step)
    # It ends early where the loss explodes, which depends on the GPU.
    assert SHORT.steps // 2 < len(harness.of(LrProbed)) <= SHORT.steps
    assert with_search == plain


def test_a_run_of_the_session_trains_and_is_evaluated_on_the_gpu(session: Session) -> None:
    training = session.train(config(device="cuda", model="two-conv", epochs=3))
    listener = Listener(training)
    assert listener.wait_for_end().reason == FINISHED
    started = next(event for event in listener.events if isinstance(event, RunStarted))
    assert started.device == "cuda:0" and started.device_name == torch.cuda.get_device_name(0)
    splits = [event.split for event in listener.events if isinstance(event, Evaluated)]
    assert splits == ["val", "test"]


def test_running_out_of_memory_names_a_batch_size_and_leaves_the_gpu_usable(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allocate(self: object) -> None:
        torch.empty(1 << 50, dtype=torch.uint8, device="cuda")

    with monkeypatch.context() as context:
        context.setattr("fmnist_tui.engine.training.trainer.Trainer.run", allocate)
        end = Listener(session.train(config(device="cuda", batch_size=64))).wait_for_end()
    assert "batch_size = 32" in end.message
    while session.training is not None:
        time.sleep(0.01)
    assert Listener(session.train(config(device="cuda"))).wait_for_end().reason == FINISHED


def test_memory_on_the_gpu_does_not_grow_from_training_to_training(session: Session) -> None:
    allocated = []
    gc.disable()
    try:
        for seed in range(4):
            end = Listener(session.train(config(device="cuda", model="two-conv", seed=seed)))
            assert end.wait_for_end().reason == FINISHED
            while session.training is not None:
                time.sleep(0.01)
            allocated.append(torch.cuda.memory_allocated())
    finally:
        gc.enable()
    assert allocated[1] == allocated[2] == allocated[3]

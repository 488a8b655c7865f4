"""CUDA graphs of one and of several steps: the same weights, and nothing left behind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.step import captured
from fmnist_tui.engine.step.captured import CapturedSteps
from fmnist_tui.engine.step.in_flight import LIMIT_MS
from fmnist_tui.protocol.commands import SetLearningRate
from fmnist_tui.protocol.events import FINISHED, Alert, Changed, EpochEnded, Progress
from tests.engine.support import (
    FOREVER,
    RICH,
    Harness,
    Listener,
    blobs,
    config,
    digest,
    graph_sizes,
    make_learner,
)
from tests.engine.training.test_resume import train_with_stops

IMAGES = 16 * 32
# every kind of randomness, dropout, batch norm, averages, two rates
CUDA: dict[str, Any] = {**RICH, "device": "cuda", "batch_size": 16}


def train(folder: Path, **values: object) -> tuple[str, Harness]:
    harness = Harness(folder, blobs(IMAGES), **{**CUDA, **values})
    assert harness.trainer.run().reason == FINISHED
    payload, _, _ = harness.store.load("last")
    return digest(payload["model"]) + digest(payload["weights"]), harness


def graph_alerts(harness: Harness) -> list[str]:
    return [alert.message for alert in harness.of(Alert) if "CUDA graph" in alert.message]


def use_size(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(captured, "choose_size", lambda *_: size)


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "fp32", "optimizer": "sgd", "lr": 0.02},
        {"precision": "bf16", "optimizer": "adamw", "clip_norm": 1.0},
        {"precision": "bf16", "optimizer": "muon", "lr": 0.01, "mixup": 0.0, "cutmix": 1.0},
        {"precision": "fp16", "optimizer": "sgd", "lr": 0.02},
        {"precision": "fp16", "optimizer": "adam", "clip_norm": 1.0},
        {"precision": "fp16", "optimizer": "muon", "lr": 0.01},
    ],
    ids=lambda settings: " ".join(str(value) for value in settings.values()),
)
def test_eager_steps_and_graphs_of_any_size_end_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    eager, _ = train(tmp_path / "eager", cuda_graph=False, **settings)
    for size in (1, 8, 11, 32):
        use_size(monkeypatch, size)
        weights, harness = train(tmp_path / str(size), **settings)
        assert graph_alerts(harness) == []
        assert graph_sizes(harness.trainer._step) == sorted({1, size})
        assert weights == eager, f"graphs of {size} steps"


def test_a_run_with_graphs_of_several_steps_resumes_exactly_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = train_with_stops(tmp_path / "uninterrupted", [], device="cuda")
    use_size(monkeypatch, 4)
    monkeypatch.setattr(captured, "TIMED_STEPS", 1)
    assert train_with_stops(tmp_path / "several", [], device="cuda") == uninterrupted
    assert train_with_stops(tmp_path / "cut", [2, 7, 12], device="cuda") == uninterrupted


def test_short_steps_of_a_long_run_are_captured_by_several(tmp_path: Path) -> None:
    _, harness = train(tmp_path, model="linear", epochs=120, ema=0.0, body_lr=1.0, mixup=0.0)
    sizes = graph_sizes(harness.trainer._step)
    assert sizes[0] == 1 and len(sizes) == 2 and 8 <= sizes[1] <= 32


def test_a_compiled_network_is_captured(tmp_path: Path) -> None:
    _, harness = train(tmp_path, compile=True, model="two-conv", lr=1e-3, mixup=0.0)
    assert graph_sizes(harness.trainer._step), graph_alerts(harness)
    assert harness.of(EpochEnded)[-1].val_accuracy >= 0.9


def fail_in_capture(monkeypatch: pytest.MonkeyPatch, how: str, number: int) -> None:
    """Let this capture of each run fail, in the middle of the step."""
    capture, transform = CapturedSteps.launch, Augment.transform

    def fail() -> None:
        match how:
            case "waits":
                torch.ones(1, device="cuda").sum().item()
            case "raises":
                raise ValueError("a defect")
            case "memory":
                torch.empty(1 << 50, dtype=torch.uint8, device="cuda")

    captures = 0

    def launch(steps: CapturedSteps, *arguments: Any) -> int:
        nonlocal captures
        captures = len(steps.sizes)
        return capture(steps, *arguments)

    def transform_or_fail(augment: Augment, images: Tensor) -> Tensor:
        result = transform(augment, images)
        if torch.cuda.is_current_stream_capturing() and captures == number:
            fail()
        return result

    monkeypatch.setattr(CapturedSteps, "launch", launch)
    monkeypatch.setattr(Augment, "transform", transform_or_fail)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("how", ["waits", "raises", "memory"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_run_whose_capture_fails_goes_on_as_if_it_had_had_no_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, number: int, precision: str
) -> None:
    settings: dict[str, Any] = {"precision": precision, "optimizer": "sgd", "lr": 0.02}
    eager, _ = train(tmp_path / "eager", cuda_graph=False, **settings)
    use_size(monkeypatch, 8)
    with monkeypatch.context() as patch:
        fail_in_capture(patch, how, number)
        weights, harness = train(tmp_path / "failing", **settings)
    (alert,) = graph_alerts(harness)
    assert alert.startswith("no CUDA graph, the run goes on without: ")
    assert weights == eager
    # The next run of the same process captures again.
    weights, harness = train(tmp_path / "again", **settings)
    assert weights == eager and graph_sizes(harness.trainer._step) == [1, 8]


@pytest.mark.parametrize("is_failing", [False, True], ids=["captured", "failing"])
def test_a_run_gives_back_the_memory_of_its_graphs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_failing: bool
) -> None:
    use_size(monkeypatch, 8)
    if is_failing:
        fail_in_capture(monkeypatch, "waits", 1)
    levels = []
    for number in range(4):
        train(tmp_path / str(number))
        torch.cuda.empty_cache()
        levels.append((torch.cuda.memory_allocated(), torch.cuda.memory_reserved()))
    assert levels[1] == levels[2] == levels[3]


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "captured"])
def test_little_work_is_queued(graph: bool) -> None:
    settings = config(device="cuda", cuda_graph=graph, model="resnet", batch_size=512)
    learner = make_learner(settings, blobs(512 * 4))
    step = learner.make_step()
    rows = learner.order.epoch_indices(0)
    for number in range(20):
        step.run(rows[number % 4][None], [1e-3])
    waits = []
    for number in range(60):
        step.run(rows[number % 4][None], [1e-3])
        if number % 6 == 5:
            start = time.perf_counter()
            step.read_totals()
            waits.append((time.perf_counter() - start) * 1000)
    step.close()
    # At most the limit, or one step, and what the machine takes.
    assert max(waits) <= 2 * LIMIT_MS, waits


@pytest.mark.parametrize(
    "settings",
    [{"model": "linear"}, {"model": "resnet", "batch_size": 256}],
    ids=["short steps", "long steps"],
)
def test_a_command_is_executed_at_once(
    session: Session, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: blobs(20_000))
    training = session.train(config(device="cuda", epochs=FOREVER, **settings))
    listener = Listener(training)
    # The graphs are there by then.
    listener.wait_for(Progress, epoch=4)
    waits = []
    for rate in (1e-4, 2e-4, 3e-4, 4e-4, 5e-4):
        start = time.perf_counter()
        training.send(SetLearningRate(0.0, rate))
        listener.wait_for(Changed, what="lr", value=f"{rate:.6g}")
        waits.append((time.perf_counter() - start) * 1000)
        listener.events.clear()
        listener.wait_for(Progress)
    training.stop()
    listener.wait_for_end()
    assert sorted(waits)[2] <= 100, waits

"""Captured steps, with a stand-in for the GPU: what is called, in which order, and how it ends."""

from __future__ import annotations

import gc
import random
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from fmnist_tui.engine.optim.muon import Muon
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.step import captured
from fmnist_tui.engine.step.captured import choose_size
from fmnist_tui.engine.step.cuda_graphs import CaptureFailedError
from fmnist_tui.protocol.commands import FindLearningRate, SetLearningRate, Stop
from fmnist_tui.protocol.events import FINISHED, STOPPED, Alert, EpochEnded
from fmnist_tui.protocol.lr_curve import RateRange
from tests.engine.step.stand_in import StandInGraphs, use_stand_in
from tests.engine.support import RICH, Harness, Listener, blobs, config, digest, graph_sizes

SMALL = {**RICH, "model": "mlp", "width": 0.1}
STEPS = 18


def train(folder: Path, **values: object) -> tuple[str, Harness]:
    harness = Harness(folder, blobs(96), **{**SMALL, **values})
    assert harness.trainer.run().reason == FINISHED
    payload, manifest, _ = harness.store.load("last")
    assert manifest.step == STEPS
    assert [event.step for event in harness.of(EpochEnded)] == [6, 12, 18]
    return digest(payload["model"]) + digest(payload["weights"]), harness


def use_size(monkeypatch: pytest.MonkeyPatch, size: int, after: int = 3) -> None:
    """Graphs of so many steps, once so many single replays have been timed."""
    monkeypatch.setattr(captured, "TIMED_STEPS", after)
    monkeypatch.setattr(captured, "choose_size", lambda *_: size)


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of a training without graphs."""
    return train(tmp_path_factory.mktemp("eager"))[0]


@pytest.mark.parametrize(
    ("step_ms", "steps_per_epoch", "left_in_run", "size"),
    [
        (0.1, 320, 10**5, 32),
        (0.1, 97, 10**5, 32),
        (0.1, 48, 10**5, 24),  # twice, without single steps
        (0.9, 195, 10**5, 15),  # at most 20 ms of work
        (0.1, 20, 10**5, 20),  # no longer than an epoch
        (0.1, 7, 10**5, 1),
        (1.0, 195, 10**5, 1),  # Python is not the limit
        (0.1, 195, 1200, 12),  # a short run does not pay for a large graph
        (0.1, 195, 700, 1),
        (0.0, 195, 10**5, 32),
    ],
)
def test_the_size_of_a_graph_follows_from_the_time_of_a_step_and_what_is_left(
    step_ms: float, steps_per_epoch: int, left_in_run: int, size: int
) -> None:
    assert choose_size(step_ms, steps_per_epoch, left_in_run) == size


def test_a_step_is_warmed_up_captured_once_and_replayed_from_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = use_stand_in(monkeypatch)
    train(tmp_path)
    timed = ["record", "replay 0", "record"]
    assert graphs.calls == [
        *["fill 1", "warm up"] * 3,
        *["fill 1", "wait for all", "capture 0", *timed, "fill 1", *timed, "fill 1", *timed],
        "wait",  # for the time of a step: too long for a graph of several
        *["fill 1", "replay 0"] * (STEPS - 6),
        *["wait for all", "reset 0", "free"],
    ]


@pytest.mark.parametrize(
    ("size", "after", "single", "several"), [(2, 1, 1, 7), (4, 2, 7, 2), (6, 1, 3, 2), (6, 3, 3, 2)]
)
def test_the_weights_do_not_depend_on_the_steps_in_a_graph(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    after: int,
    single: int,
    several: int,
    eager: str,
) -> None:
    graphs = use_stand_in(monkeypatch)
    use_size(monkeypatch, size, after)
    weights, harness = train(tmp_path / "captured")
    assert weights == eager
    counts = [graphs.calls.count(call) for call in ("warm up", "replay 0", "replay 1")]
    assert counts == [3, single, several] and 3 + single + size * several == STEPS
    assert graph_sizes(harness.trainer._step) == [1, size]


def test_a_new_learning_rate_holds_from_the_next_launch_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_with_another_rate(folder: Path) -> str:
        harness = Harness(folder, blobs(96), **SMALL)

        def on_tick() -> None:
            if harness.learner.step == 12:
                harness.inbox.send(SetLearningRate(0.0, 0.02))

        harness.trainer.commands.on_tick = on_tick
        assert harness.trainer.run().reason == FINISHED
        return digest(harness.store.load("last")[0]["model"])

    eager = train_with_another_rate(tmp_path / "eager")
    graphs = use_stand_in(monkeypatch)
    use_size(monkeypatch, 6)
    assert train_with_another_rate(tmp_path / "captured") == eager != train(tmp_path / "as set")[0]
    assert "replay 1" in graphs.calls


def test_the_time_of_a_capture_is_no_time_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = use_stand_in(monkeypatch)
    use_size(monkeypatch, 4)
    capture, passed = graphs.capture, 0.0

    def capture_long(*arguments: Any) -> Any:
        nonlocal passed
        passed += 1000.0
        return capture(*arguments)

    clock = time.perf_counter
    monkeypatch.setattr("time.perf_counter", lambda: clock() + passed)
    monkeypatch.setattr(graphs, "capture", capture_long)
    _, harness = train(tmp_path)
    assert passed == 2000.0
    ends = harness.of(EpochEnded)
    assert sum(end.seconds for end in ends) < 100 and ends[-1].warm_seconds < 100


@pytest.mark.parametrize("failing", [0, 1])
def test_a_run_whose_capture_fails_says_so_once_and_trains_as_without_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, eager: str
) -> None:
    graphs = use_stand_in(monkeypatch, failing=failing)
    use_size(monkeypatch, 4)
    weights, harness = train(tmp_path / "captured")
    assert weights == eager
    alerts = [alert.message for alert in harness.of(Alert)]
    assert alerts == [
        "no CUDA graph, the run goes on without: operation not permitted when stream is capturing"
    ]
    end = graphs.calls[graphs.calls.index(f"capture {failing}") + 1 :]
    assert end == ["wait for all", *["reset 0"] * failing, "free"]


def test_a_capture_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stand_in(monkeypatch, {"precision": "fp16"})
    learner = Harness(tmp_path, blobs(96), **SMALL).learner
    step = learner.make_step()
    step.run(learner.order.epoch_indices(0)[:2], learner.next_rates(2))
    parameter = next(learner.model.parameters())
    before = str(learner.full_payload()), torch.get_rng_state(), random.getstate()
    with pytest.raises(CaptureFailedError), step.undo_on_failure():
        random.random()
        torch.rand(3)
        parameter.grad = torch.ones_like(parameter)
        step.optimizer.state[parameter]["another"] = torch.zeros(1)
        step.scaler._per_optimizer_states[id(step.optimizer)]["stage"] = None
        vars(step.optimizer)["grad_scale"] = torch.ones(1)
        raise CaptureFailedError
    assert str(learner.full_payload()) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1]) and random.getstate() == before[2]
    assert parameter.grad is None and not hasattr(step.optimizer, "grad_scale")
    assert not step.scaler._per_optimizer_states


def were_all_freed(graphs: type[StandInGraphs]) -> bool:
    captures = sum(call.startswith("capture") for call in graphs.calls)
    resets = sum(call.startswith("reset") for call in graphs.calls)
    return captures == resets > 0 and graphs.calls[-1] == "free"


@pytest.mark.parametrize("end", ["finished", "stopped", "broken", "searched"])
def test_graphs_are_freed_however_a_run_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    graphs = use_stand_in(monkeypatch)
    harness = Harness(tmp_path, blobs(96), **SMALL)
    searches = [FindLearningRate(0.0, 1e-5, 1e-3, 20)]

    def on_tick() -> None:
        if harness.learner.step == 2 and end == "searched" and searches:
            harness.inbox.send(searches.pop())
        if harness.learner.step == 9 and end == "stopped":
            harness.inbox.send(Stop(0.0))
        if harness.learner.step == 9 and end == "broken":
            raise RuntimeError("a defect")

    harness.trainer.commands.on_tick = on_tick
    if end == "broken":
        with pytest.raises(RuntimeError, match="a defect"):
            harness.trainer.run()
    else:
        assert harness.trainer.run().reason == (STOPPED if end == "stopped" else FINISHED)
    assert were_all_freed(graphs)


def test_a_captured_training_is_freed_without_garbage_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stand_in(monkeypatch)
    gc.disable()
    try:
        # The first optimiser of a process makes torch import modules that keep frames.
        for name in ("first", "second"):
            _, harness = train(tmp_path / name)
            kept = [weakref.ref(part) for part in (harness.trainer, harness.trainer._step)]
            del harness
        assert [reference() for reference in kept] == [None, None]
    finally:
        gc.enable()


def test_the_graph_of_a_search_of_its_own_is_freed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = use_stand_in(monkeypatch)
    training = session.find_lr(config(model="mlp"), RateRange(steps=20))
    assert Listener(training).wait_for_end().reason == FINISHED
    assert were_all_freed(graphs)


def test_the_scaler_of_fp16_is_captured_with_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for failing in (None, 0):
        with monkeypatch.context() as patch:
            graphs = use_stand_in(patch, {"precision": "fp16"}, failing=failing)
            use_size(patch, 4)
            weights, harness = train(tmp_path / str(failing), optimizer="sgd", clip_norm=1.0)
            ends.append((weights, str(harness.learner.full_payload()["scaler"])))
            assert ("replay 1" in graphs.calls) == (failing is None)
    assert ends[0] == ends[1]


def test_an_optimiser_that_waits_in_fp16_is_not_captured_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = use_stand_in(monkeypatch, {"precision": "fp16"})
    monkeypatch.setattr(Muon, "_step_supports_amp_scaling", False, raising=False)
    _, harness = train(tmp_path, optimizer="muon")
    assert [alert.message for alert in harness.of(Alert)] == [
        "no CUDA graph, the run goes on without: this optimiser cannot be captured in fp16"
    ]
    assert not graphs.calls

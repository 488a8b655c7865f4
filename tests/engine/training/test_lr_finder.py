"""The search for a learning rate: it finds one, and nothing that it taught is left."""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from fmnist_tui.config.recipes import read
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.run.inbox import Inbox
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training import lr_finder
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.step import TrainingStep
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
    Event,
    LrProbed,
    LrSearched,
    Progress,
    RunStarted,
)
from fmnist_tui.protocol.lr_curve import DEFAULT_HIGH, DEFAULT_LOW, RateRange
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.log import CommandBox
from fmnist_tui.util.errors import UserError
from tests.engine.support import FOREVER, Bench, Listener, blobs, config, digest, make_learner

# BatchNorm, dropout, averaged weights, a schedule, two rates and every kind of randomness
RICH: dict[str, Any] = {
    "model": "custom-cnn",
    "width": 0.25,
    "dropout": 0.3,
    "schedule": "onecycle",
    "ema": 0.9,
    "body_lr": 0.5,
    "shift": 2,
    "erase": 0.5,
    "mixup": 0.4,
    "epochs": 3,
    "checkpoint_seconds": 1000.0,
}
SHORT = RateRange(1e-5, 1.0, 20)
FIND = FindLearningRate(0.0, SHORT.low, SHORT.high, SHORT.steps)


def fingerprint(learner: Learner) -> str:
    """A hash of everything that a checkpoint keeps of a learner."""
    found = hashlib.sha256()

    def feed(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.update(f"{value.dtype}{tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
        elif isinstance(value, dict):
            for key, part in value.items():
                found.update(repr(key).encode())
                feed(part)
        elif isinstance(value, (list, tuple)):
            for part in value:
                feed(part)
        else:
            found.update(repr(value).encode())

    feed(learner.full_payload())
    return found.hexdigest()


def stepped(learner: Learner, steps: int) -> None:
    """Have a learner take some steps, as a trainer would."""
    learn = learner.make_step()
    rows = learner.order.epoch_indices(0)
    for step in range(steps):
        learner.apply_lr()
        learn(rows[step])
        learner.step += 1
        learner.epoch_step += 1


def searched(
    learner: Learner, rates: RateRange = SHORT, *commands: Command, after: int = 0
) -> tuple[LrSearched, list[LrProbed]]:
    """Search; the commands come after so many probes."""
    control = Inbox()
    heard: list[Event] = []

    def on_tick() -> None:
        if len(heard) == after:
            for command in commands:
                control.send(command)

    ended = lr_finder.search(
        learner, rates, heard.append, lr_finder.PendingCommands(control, on_tick)
    )
    assert heard.pop() is ended
    return ended, [event for event in heard if isinstance(event, LrProbed)]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
@pytest.mark.parametrize("steps", [0, 3])
def test_after_a_search_the_learner_is_what_it_was_to_the_last_bit(
    optimizer: str, steps: int
) -> None:
    learner = make_learner(config(**RICH, optimizer=optimizer), blobs(96))
    stepped(learner, steps)
    before = fingerprint(learner)
    _, probes = searched(learner)
    assert len(probes) == SHORT.steps
    assert fingerprint(learner) == before
    stepped(learner, 1)
    assert fingerprint(learner) != before, "the fingerprint sees a single step"


def test_what_a_captured_step_holds_on_to_is_put_back_in_place() -> None:
    learner = make_learner(config(**RICH), blobs(96))
    stepped(learner, 3)
    optimizer = learner._optimizer

    def places() -> list[int]:
        states = [value for state in optimizer.state.values() for value in state.values()]
        rates = [group["lr"] for group in optimizer.param_groups]
        weights = [*learner.model.state_dict().values()]
        return [value.data_ptr() for value in (*states, *rates, *weights)]

    before = places()
    searched(learner)
    assert places() == before


def test_a_gradient_scaler_is_put_back_too() -> None:
    learner = make_learner(config(model="mlp"), blobs(96))
    learner._scaler = torch.amp.GradScaler(
        "cpu", enabled=True, init_scale=2.0**10, growth_interval=5
    )
    stepped(learner, 3)
    before = copy.deepcopy(learner._scaler.state_dict())
    searched(learner)
    assert learner._scaler.state_dict() == before
    assert before["_growth_tracker"] == 3


def test_the_rates_rise_by_the_same_factor_from_the_first_to_the_last() -> None:
    _, probes = searched(make_learner(config(), blobs(96)), RateRange(1e-6, 1e-2, 21))
    assert [probe.probe for probe in probes] == list(range(1, 22))
    assert probes[0].lr == pytest.approx(1e-6) and probes[-1].lr == pytest.approx(1e-2)
    factors = [after.lr / before.lr for before, after in pairwise(probes)]
    assert factors == pytest.approx([10 ** (4 / 20)] * 20)


def test_each_probe_trains_at_its_own_rate() -> None:
    """SGD without momentum moves the weights by the rate times the gradient."""
    learner = make_learner(config(model="linear", optimizer="sgd", momentum=0.0), blobs(96))
    moved: list[tuple[float, float]] = []
    before = torch.nn.utils.parameters_to_vector(learner.model.parameters()).detach()

    def look(event: Event) -> None:
        nonlocal before
        if isinstance(event, LrProbed):
            now = torch.nn.utils.parameters_to_vector(learner.model.parameters()).detach()
            slopes = [
                weight.grad for weight in learner.model.parameters() if weight.grad is not None
            ]
            slope = torch.nn.utils.parameters_to_vector(slopes).norm()
            moved.append((event.lr, float((now - before).norm() / slope)))
            before = now.clone()

    lr_finder.search(
        learner, RateRange(1e-4, 1e-1, 20), look, lr_finder.PendingCommands(Inbox(), lambda: None)
    )
    assert [far for _, far in moved] == pytest.approx([lr for lr, _ in moved], rel=1e-2)


def test_a_rate_is_suggested_that_trains() -> None:
    learner = make_learner(config(model="mlp", optimizer="adamw"), blobs(256))
    ended, probes = searched(learner, RateRange(steps=120))
    assert ended.reason == FINISHED and ended.lr is not None
    assert ended.low is not None and ended.high is not None
    assert DEFAULT_LOW < ended.low <= ended.lr <= ended.high < DEFAULT_HIGH
    assert 1e-4 < ended.lr < 1.0
    assert min(probe.loss for probe in probes) < probes[0].loss / 2


def test_an_exploding_loss_ends_the_search_early() -> None:
    learner = make_learner(config(model="linear", optimizer="sgd", mixup=0.4), blobs(256))
    ended, probes = searched(learner, RateRange(1e-3, 100.0, 100))
    assert ended.reason == FINISHED
    assert len(probes) < 100
    assert all(math.isfinite(probe.loss) for probe in probes[:-1])


def test_a_search_given_up_leaves_nothing_behind() -> None:
    learner = make_learner(config(**RICH), blobs(96))
    before = fingerprint(learner)
    ended, probes = searched(learner, SHORT, CancelSearch(0.0), after=5)
    assert (ended.reason, ended.lr, len(probes)) == (STOPPED, None, 5)
    assert fingerprint(learner) == before


def test_a_search_that_breaks_leaves_nothing_behind() -> None:
    learner = make_learner(config(**RICH), blobs(96))
    before = fingerprint(learner)

    def broken(event: Event) -> None:
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        lr_finder.search(learner, SHORT, broken, lr_finder.PendingCommands(Inbox(), lambda: None))
    assert fingerprint(learner) == before


def test_too_few_images_are_refused_with_what_to_do() -> None:
    with pytest.raises(UserError, match=r"40 training images .* set batch_size to 10 or less"):
        lr_finder.check_batch_count(40, 16)
    with pytest.raises(UserError) as refused:
        lr_finder.check_batch_count(3, 16)
    assert "batch_size to" not in str(refused.value)
    lr_finder.check_batch_count(64, 16)


# -- on a run that is going on ------------------------------------------------------------


def trained(folder: Path, *commands: Command, at: int = 4, **values: object) -> tuple[str, Bench]:
    """A run that is told things at a step, and the hash of all that it has become."""
    bench = Bench(folder, blobs(96), **{**RICH, **values})
    told = list(commands)

    def on_tick() -> None:
        while told and bench.learner.step == at:
            bench.inbox.send(told.pop(0))

    bench.trainer.on_tick = on_tick
    assert bench.trainer.run().reason == FINISHED
    payload, _, _ = bench.store.load("last")
    best, _, _ = bench.store.load("best")
    return digest(payload["model"]) + digest(payload["weights"]) + digest(best["weights"]), bench


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("at", [0, 7])
def test_a_training_that_was_searched_ends_as_one_that_was_not(
    tmp_path: Path, optimizer: str, at: int
) -> None:
    plain, _ = trained(tmp_path / "plain", optimizer=optimizer)
    found, bench = trained(tmp_path / "searched", FIND, at=at, optimizer=optimizer)
    assert len(bench.of(LrProbed)) == SHORT.steps and len(bench.of(LrSearched)) == 1
    assert found == plain


def test_a_paused_run_searches_and_stays_paused(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path / "plain")
    bench = Bench(tmp_path / "paused", blobs(96), **RICH)
    told: list[Command] = [Pause(0.0), FIND, Resume(0.0)]

    def on_tick() -> None:
        if bench.learner.step == 4 and told:
            bench.inbox.send(told.pop(0))

    bench.trainer.on_tick = on_tick
    assert bench.trainer.run().reason == FINISHED
    said = [event for event in bench.events if isinstance(event, (Changed, LrSearched))]
    words = [event.value if isinstance(event, Changed) else "searched" for event in said]
    assert words[words.index("true") :][:5] == [
        "true", "finding a rate", "searched", "training", "false",
    ]  # fmt: skip
    assert digest(bench.store.load("last")[0]["model"]) in plain


def test_what_is_told_during_a_search_is_done_after_it(tmp_path: Path) -> None:
    _, bench = trained(tmp_path, FIND, SetLearningRate(0.0, 0.0123))
    kinds = [event for event in bench.events if isinstance(event, (LrProbed, LrSearched, Changed))]
    rate = next(at for at, event in enumerate(kinds) if getattr(event, "what", "") == "lr")
    assert isinstance(kinds[rate - 2], LrSearched)


def test_escape_ends_a_search_and_not_the_run(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path / "plain")
    found, bench = trained(tmp_path / "given up", FIND, CancelSearch(0.0))
    assert bench.of(LrSearched)[0].reason == STOPPED and not bench.of(LrProbed)
    assert found == plain


def test_a_stop_during_a_search_saves_what_was_before_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, blobs(96), **RICH)
    before = ""

    def on_tick() -> None:
        nonlocal before
        if bench.learner.step == 5 and not before:
            before = digest(bench.learner.model.state_dict())
            bench.inbox.send(FIND)
        elif len(bench.of(LrProbed)) == 3:
            bench.inbox.send(Stop(0.0, "enough"))

    bench.trainer.on_tick = on_tick
    ending = bench.trainer.run()
    assert (ending.reason, ending.message) == (STOPPED, "enough")
    payload, manifest, _ = bench.store.load("last")
    assert manifest.step == 5 and digest(payload["model"]) == before


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (FindLearningRate(0.0, 1.0, 0.1, 50), "from-lr = 1 must be below to-lr = 0.1"),
        (FindLearningRate(0.0, math.nan, 0.1, 50), "from-lr = nan"),
        (FindLearningRate(0.0, 1e-4, 0.1, 10**9), "steps = 1000000000"),
    ],
)
def test_a_search_that_cannot_be_is_said_and_harms_nobody(
    tmp_path: Path, command: Command, why: str
) -> None:
    _, bench = trained(tmp_path, command, model="linear", ema=0.0, mixup=0.0, body_lr=1.0)
    failed = bench.of(LrSearched)[0]
    assert failed.reason == FAILED and why in failed.message


def test_the_figures_of_an_epoch_leave_the_search_out(tmp_path: Path) -> None:
    _, plain = trained(tmp_path / "plain", mixup=0.0)
    _, bench = trained(tmp_path / "searched", FIND, mixup=0.0)

    def figures(bench: Bench) -> list[float]:
        ended = bench.of(EpochEnded)
        return [value for event in ended for value in (event.train_loss, event.train_accuracy)]

    assert figures(bench) == pytest.approx(figures(plain))
    assert bench.of(LrProbed)[0].loss < 10, "the losses of the steps before are no probe's"
    assert all(event.images <= 96 for event in bench.of(Progress))


# -- as a run of its own ------------------------------------------------------------------


def test_a_search_is_a_run_with_a_folder_that_tells_everything(session: Session) -> None:
    training = session.lrfind(config(model="mlp"), RateRange(steps=60))
    listener = Listener(training)
    ended = listener.to_the_end()
    assert ended.reason == FINISHED and ended.message.startswith("suggests lr 0.")
    folder = training.folder
    assert folder is not None and "lrfind" in folder.name
    state = replay(folder.events)
    assert state.started is not None and state.search is not None
    assert (state.started.kind, state.started.total_steps) == (LRFIND, 60)
    assert state.search.end is not None and state.search.end.lr is not None
    assert len(state.search.points) == len([e for e in listener.heard if isinstance(e, LrProbed)])
    assert read(folder.config).config() == training.config
    assert not [event for event in listener.heard if isinstance(event, Evaluated)]
    assert not list(folder.predictions.iterdir()) and not list(folder.checkpoints.iterdir())


def test_a_search_is_stopped_by_a_command_of_another_process(session: Session) -> None:
    training = session.lrfind(config(model="mlp"), RateRange(steps=2000))
    listener = Listener(training)
    listener.until(RunStarted)
    assert training.folder is not None
    CommandBox.send(training.folder, Stop(0.0, "told to"))
    ended = listener.to_the_end()
    assert (ended.reason, ended.message) == (STOPPED, "told to")


def test_another_process_can_have_a_live_run_searched(session: Session) -> None:
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.until(RunStarted)
    assert training.folder is not None
    CommandBox.send(training.folder, FIND)
    assert listener.until(LrSearched).reason == FINISHED
    listener.until(Changed, what="phase", value="training")
    training.stop()
    listener.to_the_end()
    assert not [event for event in listener.heard if isinstance(event, Alert)]


def test_too_small_a_data_set_leaves_no_run_folder(session: Session, tmp_path: Path) -> None:
    training = session.lrfind(config(batch_size=32))
    assert training.wait(60)
    assert isinstance(training.error, UserError) and "too few" in str(training.error)
    assert not (tmp_path / "runs").exists()


class Recorded:
    """A stand-in for a CUDA graph: replays the step, and only on the tensors it was recorded
    with."""

    def __init__(self, step: TrainingStep) -> None:
        self._step = step
        self._held = self._places()

    def _places(self) -> list[int]:
        optimizer = self._step._parts.optimizer
        states = [value for state in optimizer.state.values() for value in state.values()]
        weights = self._step._parts.model.state_dict().values()
        return [value.data_ptr() for value in (*states, *weights)]

    def replay(self) -> None:
        assert self._places() == self._held, "the graph writes into tensors that are not used"
        self._step._train_batch()


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
@pytest.mark.parametrize("at", [0, 2, 7])
def test_a_step_recorded_before_during_or_after_a_search_goes_on_as_it_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str, at: int
) -> None:
    recorded: list[int] = []

    def capture(step: TrainingStep) -> None:
        step._graph = cast(torch.cuda.CUDAGraph, Recorded(step))
        recorded.append(step._steps)
        step._train_batch()

    monkeypatch.setattr(TrainingStep, "_warm_up", TrainingStep._train_batch)
    monkeypatch.setattr(TrainingStep, "_capture", capture)
    monkeypatch.setattr(
        "tests.engine.support.choose_device",
        lambda config: replace(choose_device(config), cuda_graph=True),
    )
    plain, _ = trained(tmp_path / "plain", optimizer=optimizer)
    found, bench = trained(tmp_path / "searched", FIND, at=at, optimizer=optimizer)
    assert bench.trainer._step.is_captured and len(bench.of(LrProbed)) == SHORT.steps
    # Once for each run and, where the training had not come so far, once for the search.
    assert recorded == [3] * (3 if at < 3 else 2)
    assert found == plain


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("at", [0, 2, 7])
def test_a_training_by_captured_graph_ends_as_one_without_a_search(tmp_path: Path, at: int) -> None:
    cuda = {**RICH, "device": "cuda", "precision": "fp32"}
    plain, _ = trained(tmp_path / "plain", **cuda)
    found, bench = trained(tmp_path / "searched", FIND, at=at, **cuda)
    assert bench.trainer._step.is_captured and len(bench.of(LrProbed)) == SHORT.steps
    assert found == plain

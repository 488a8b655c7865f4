"""The learning-rate search: it finds a rate and undoes all training."""

from __future__ import annotations

import copy
import hashlib
import math
from itertools import pairwise
from typing import Any

import pytest
import torch

from fmnist_tui.engine.run.training_handle import Inbox
from fmnist_tui.engine.training import lr_finder
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.commands import (
    CancelSearch,
    Command,
)
from fmnist_tui.protocol.events import (
    FINISHED,
    STOPPED,
    Event,
    LrProbed,
    LrSearched,
)
from fmnist_tui.protocol.lr_curve import DEFAULT_HIGH, DEFAULT_LOW, RateRange
from fmnist_tui.util.errors import UserError
from tests.engine.support import RICH, blobs, config, make_learner

SHORT = RateRange(1e-5, 1.0, 20)


def fingerprint(learner: Learner) -> str:
    """Hash everything that a checkpoint saves of a learner."""
    hash_ = hashlib.sha256()

    def feed(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            hash_.update(f"{value.dtype}{tuple(value.shape)}".encode())
            hash_.update(value.detach().cpu().contiguous().numpy().tobytes())
        elif isinstance(value, dict):
            for key, part in value.items():
                hash_.update(repr(key).encode())
                feed(part)
        elif isinstance(value, (list, tuple)):
            for part in value:
                feed(part)
        else:
            hash_.update(repr(value).encode())

    feed(learner.full_payload())
    return hash_.hexdigest()


def take_steps(learner: Learner, steps: int) -> None:
    """Train for some steps, like a trainer."""
    learner.make_step().run(learner.order.epoch_indices(0)[:steps], learner.next_rates(steps))
    learner.step += steps
    learner.epoch_step += steps


def run_search(
    learner: Learner, rates: RateRange = SHORT, *commands: Command, after: int = 0
) -> tuple[LrSearched, list[LrProbed]]:
    """Search; the commands arrive after so many probes."""
    inbox = Inbox()
    events: list[Event] = []

    def on_tick() -> None:
        if len(events) == after:
            for command in commands:
                inbox.send(command)

    result = lr_finder.search(
        learner, rates, events.append, lr_finder.PendingCommands(inbox, on_tick)
    )
    assert events.pop() is result
    return result, [event for event in events if isinstance(event, LrProbed)]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_search_leaves_the_learner_unchanged_to_the_last_bit(optimizer: str, steps: int) -> None:
    learner = make_learner(config(**RICH, optimizer=optimizer), blobs(96))
    take_steps(learner, steps)
    before = fingerprint(learner)
    _, probes = run_search(learner)
    assert len(probes) == SHORT.steps
    assert fingerprint(learner) == before
    take_steps(learner, 1)
    assert fingerprint(learner) != before, "the fingerprint covers a single step"


def test_values_are_restored_in_the_tensors_that_a_captured_step_uses() -> None:
    learner = make_learner(config(**RICH), blobs(96))
    take_steps(learner, 3)
    optimizer = learner._optimizer

    def addresses() -> list[int]:
        states = [value for state in optimizer.state.values() for value in state.values()]
        rates = [group["lr"] for group in optimizer.param_groups]
        weights = [*learner.model.state_dict().values()]
        return [value.data_ptr() for value in (*states, *rates, *weights)]

    before = addresses()
    run_search(learner)
    assert addresses() == before


def test_the_gradient_scaler_is_restored() -> None:
    learner = make_learner(config(model="mlp"), blobs(96))
    learner._scaler = torch.amp.GradScaler(
        "cpu", enabled=True, init_scale=2.0**10, growth_interval=5
    )
    take_steps(learner, 3)
    before = copy.deepcopy(learner._scaler.state_dict())
    run_search(learner)
    assert learner._scaler.state_dict() == before
    assert before["_growth_tracker"] == 3


def test_rates_rise_by_a_constant_factor() -> None:
    _, probes = run_search(make_learner(config(), blobs(96)), RateRange(1e-6, 1e-2, 21))
    assert [probe.probe for probe in probes] == list(range(1, 22))
    assert probes[0].lr == pytest.approx(1e-6) and probes[-1].lr == pytest.approx(1e-2)
    factors = [after.lr / before.lr for before, after in pairwise(probes)]
    assert factors == pytest.approx([10 ** (4 / 20)] * 20)


def test_each_probe_trains_at_its_own_rate() -> None:
    """SGD without momentum changes the weights by the rate times the gradient."""
    learner = make_learner(config(model="linear", optimizer="sgd", momentum=0.0), blobs(96))
    moved: list[tuple[float, float]] = []
    before = torch.nn.utils.parameters_to_vector(learner.model.parameters()).detach()

    def on_event(event: Event) -> None:
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
        learner,
        RateRange(1e-4, 1e-1, 20),
        on_event,
        lr_finder.PendingCommands(Inbox(), lambda: None),
    )
    assert [distance for _, distance in moved] == pytest.approx([lr for lr, _ in moved], rel=1e-2)


def test_the_suggested_rate_trains() -> None:
    learner = make_learner(config(model="mlp", optimizer="adamw"), blobs(256))
    result, probes = run_search(learner, RateRange(steps=120))
    assert result.reason == FINISHED and result.lr is not None
    assert result.low is not None and result.high is not None
    assert DEFAULT_LOW < result.low <= result.lr <= result.high < DEFAULT_HIGH
    assert 1e-4 < result.lr < 1.0
    assert min(probe.loss for probe in probes) < probes[0].loss / 2


def test_a_diverging_loss_ends_the_search_early() -> None:
    learner = make_learner(config(model="linear", optimizer="sgd", mixup=0.4), blobs(256))
    result, probes = run_search(learner, RateRange(1e-3, 100.0, 100))
    assert result.reason == FINISHED
    assert len(probes) < 100
    assert all(math.isfinite(probe.loss) for probe in probes[:-1])


def test_a_cancelled_search_leaves_the_learner_unchanged() -> None:
    learner = make_learner(config(**RICH), blobs(96))
    before = fingerprint(learner)
    result, probes = run_search(learner, SHORT, CancelSearch(0.0), after=5)
    assert (result.reason, result.lr, len(probes)) == (STOPPED, None, 5)
    assert fingerprint(learner) == before


def test_a_failing_search_leaves_the_learner_unchanged() -> None:
    learner = make_learner(config(**RICH), blobs(96))
    before = fingerprint(learner)

    def fail(event: Event) -> None:
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        lr_finder.search(learner, SHORT, fail, lr_finder.PendingCommands(Inbox(), lambda: None))
    assert fingerprint(learner) == before


def test_too_few_images_are_refused_with_a_usable_batch_size() -> None:
    with pytest.raises(UserError, match=r"40 training images .* set batch_size to 10 or less"):
        lr_finder.check_batch_count(40, 16)
    with pytest.raises(UserError) as refused:
        lr_finder.check_batch_count(3, 16)
    assert "batch_size to" not in str(refused.value)
    lr_finder.check_batch_count(64, 16)

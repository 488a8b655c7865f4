"""Averaged weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fmnist_tui.engine.compute.ema import Lookahead, WeightAverage


def test_the_average_follows_the_weights_and_restores_them() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = model.state_dict()
    start = copy.deepcopy(state)
    average = WeightAverage(model, decay=0.75)
    state["0.weight"].add_(4.0)
    state["1.num_batches_tracked"].fill_(7)
    before = copy.deepcopy(model.state_dict())
    average.update()
    with average.applied():
        assert torch.allclose(state["0.weight"], start["0.weight"] + 1.0)
        assert int(state["1.num_batches_tracked"]) == 7
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_lookahead_moves_every_few_steps_and_takes_the_model_along() -> None:
    model = nn.Linear(1, 1, bias=False)
    weight, decay, every, total = model.weight.detach(), 0.9, 2, 8
    weight.fill_(1.0)
    average, expected = Lookahead(model, decay, every, total), 1.0
    for step in range(1, total + 1):
        before = weight.item()
        weight.add_(1.0)
        average.update()
        if step % every:
            assert weight.item() == pytest.approx(before + 1)
        else:
            kept = decay**every * (step / total) ** 3
            expected = kept * expected + (1 - kept) * (before + 1)
            assert weight.item() == pytest.approx(expected)
        assert average.state()["weight"].item() == pytest.approx(expected)


def test_lookahead_continues_from_the_step_of_a_checkpoint() -> None:
    model = nn.Linear(1, 1)
    average = Lookahead(model, 0.9, 5, 10)
    average.continue_from(4)
    model.weight.detach().add_(1.0)
    average.update()
    assert average.state()["weight"].item() == pytest.approx(model.weight.item())

"""Averaged weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

from fmnist_tui.engine.compute.ema import WeightAverage


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

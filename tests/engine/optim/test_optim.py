"""The built-in optimisers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fmnist_tui.config import plugins
from fmnist_tui.engine.optim import OptimSpec


@pytest.mark.parametrize("name", plugins.plugin_names("optim"))
def test_every_optimiser_learns_and_follows_the_rate_tensor(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    rate = torch.tensor({"sgd": 0.1, "muon": 0.02}.get(name, 0.01))
    optimizer = plugins.load_plugin("optim", name).build(model, OptimSpec(rate, 0.9, 0.01))
    x, y = torch.randn(64, 8), torch.randint(4, (64,))

    def step() -> float:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    losses = [step() for _ in range(40)]
    assert losses[-1] < 0.8 * losses[0]
    rate.fill_(0.0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    step()
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.equal(old, new)


def test_muon_updates_are_nearly_orthogonal() -> None:
    muon = plugins.load_plugin("optim", "muon")
    for shape in ((8, 20), (20, 8)):
        values = torch.linalg.svdvals(muon.orthogonalise(torch.randn(shape)))
        assert values.min() > 0.5 and values.max() < 1.4


def test_weight_decay_spares_biases_and_norms() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    spec = OptimSpec(torch.tensor(0.1), 0.9, 0.5)
    groups = plugins.load_plugin("optim", "adamw").build(model, spec).param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert [len(group["params"]) for group in groups] == [1, 3]

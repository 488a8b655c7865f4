"""The built-in optimisers."""

from __future__ import annotations

import copy
import math

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
    rate = torch.tensor({"sgd": 0.1, "muon": 0.02, "renormalised-muon": 0.1}.get(name, 0.01))
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
        if name == "renormalised-muon":
            torch.testing.assert_close(old, new.detach())
        else:
            assert torch.equal(old, new)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_first_step_that_fp16_leaves_out_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    models = [nn.Linear(8, 4) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        for model, first in zip(models, (0, 1), strict=True):
            build = plugins.load_plugin("optim", name).build
            optimizer = build(model, OptimSpec(torch.tensor(0.1), 0.9, 0.01))
            for is_infinite in (1.0, 0.0, 0.0)[first:]:
                model(torch.ones(1, 8)).sum().backward()
                optimizer.grad_scale, optimizer.found_inf = (
                    torch.ones(()),
                    torch.tensor(is_infinite),
                )
                optimizer.step()
                optimizer.zero_grad()
    finally:
        torch.use_deterministic_algorithms(False)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_muon_updates_are_nearly_orthogonal() -> None:
    muon = plugins.load_plugin("optim", "muon")
    for shape in ((3, 8, 20), (3, 20, 8)):
        values = torch.linalg.svdvals(muon.orthogonalise(torch.randn(shape)))
        assert values.min() > 0.3 and values.max() < 1.4


class _Equal(nn.Sequential):
    """Filters of which several have the same shape, some as tall matrices; a norm and a head."""

    def __init__(self) -> None:
        convolutions = [nn.Conv2d(8, 8, 3, bias=False) for _ in range(3)]
        tall = [nn.Conv2d(2, 24, 1), nn.Conv2d(24, 2, 1), nn.Conv2d(2, 24, 1)]
        super().__init__(*convolutions, nn.BatchNorm2d(8), *tall, nn.Linear(4, 3))


def _muon(model: nn.Module, name: str = "muon", lr: float = 0.02) -> torch.optim.Optimizer:
    spec = OptimSpec(torch.tensor(lr), momentum=0.9, weight_decay=0.01)
    built: torch.optim.Optimizer = plugins.load_plugin("optim", name).build(model, spec)
    return built


def _set_gradients(model: nn.Module, factor: float = 1.0) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * factor


def test_muon_moves_matrices_of_equal_shape_as_it_moves_each_alone() -> None:
    torch.manual_seed(0)
    model = _Equal()
    together = _muon(model)
    for _ in range(3):
        _set_gradients(model)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        states = copy.deepcopy(together.state_dict())
        together.step()
        moved = [parameter.detach().clone() for parameter in model.parameters()]
        together.load_state_dict(states)
        for index, parameter in enumerate(model.parameters()):
            parameter.data.copy_(before[index])
        gradients = [parameter.grad for parameter in model.parameters()]
        for alone, gradient in zip(model.parameters(), gradients, strict=True):
            for parameter in model.parameters():
                parameter.grad = None
            alone.grad = gradient
            together.step()
        for parameter, expected in zip(model.parameters(), moved, strict=True):
            torch.testing.assert_close(parameter.detach(), expected)


def test_renormalised_muon_keeps_the_size_of_filters_whatever_their_gradients() -> None:
    model = _Equal()
    optimizer = _muon(model, "renormalised-muon", lr=1e-4)
    for _ in range(3):
        _set_gradients(model, 100.0)
        optimizer.step()
    for filters in (each for each in model.parameters() if each.ndim == 4):
        assert filters.norm().item() == pytest.approx(len(filters) ** 0.5, rel=1e-5)


def test_muon_divides_by_the_scale_of_fp16_and_skips_a_step_with_infinite_gradients() -> None:
    torch.manual_seed(0)
    model, optimizer = _Equal(), None
    scaled = copy.deepcopy(model)
    optimizer, other = _muon(model), _muon(scaled)
    for is_infinite in (False, True, False):
        _set_gradients(model)
        for parameter, twin in zip(model.parameters(), scaled.parameters(), strict=True):
            assert parameter.grad is not None
            twin.grad = parameter.grad * (math.inf if is_infinite else 1024)
        # as torch.amp.GradScaler.step hands them over
        setattr(other, "grad_scale", torch.tensor(1024.0))  # noqa: B010
        setattr(other, "found_inf", torch.tensor(float(is_infinite)))  # noqa: B010
        other.step()
        if not is_infinite:
            optimizer.step()
        for parameter, twin in zip(model.parameters(), scaled.parameters(), strict=True):
            torch.testing.assert_close(parameter, twin)


def test_weight_decay_spares_biases_and_norms() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    spec = OptimSpec(torch.tensor(0.1), 0.9, 0.5)
    groups = plugins.load_plugin("optim", "adamw").build(model, spec).param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert [len(group["params"]) for group in groups] == [1, 3]

"""Stochastic gradient descent with Nesterov momentum."""

from __future__ import annotations

import torch
from torch import nn

from fmnist_tui.engine.optim import Optimizer, OptimSpec, fused, groups


def build(model: nn.Module, spec: OptimSpec) -> Optimizer:
    return torch.optim.SGD(
        groups(model, spec),
        lr=spec.lr,
        momentum=spec.momentum,
        nesterov=spec.momentum > 0,
        fused=fused(model.parameters()),
    )

"""Stochastic gradient descent with Nesterov momentum."""

from __future__ import annotations

import torch
from torch import nn

from fmnist_tui.engine.optim import Optimizer, OptimSpec, parameter_groups


def build(model: nn.Module, spec: OptimSpec) -> Optimizer:
    return torch.optim.SGD(
        parameter_groups(model, spec),
        lr=spec.lr,
        momentum=spec.momentum,
        nesterov=spec.momentum > 0,
        fused=True,
    )

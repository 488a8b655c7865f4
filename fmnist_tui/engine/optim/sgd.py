"""Stochastic gradient descent with Nesterov momentum."""

from __future__ import annotations

import torch
from torch import nn

from fmnist_tui.engine.optim import Optimizer, OptimSpec, parameter_groups


def build(model: nn.Module, spec: OptimSpec) -> Optimizer:
    optimizer = torch.optim.SGD(
        parameter_groups(model, spec),
        lr=spec.lr,
        momentum=spec.momentum,
        nesterov=spec.momentum > 0,
        fused=True,
    )
    if spec.momentum:
        # torch would begin with memory that the first step fills, or not if fp16 leaves it out.
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer

"""Adam, with weight decay as a part of the gradient."""

from __future__ import annotations

import torch
from torch import nn

from fmnist_tui.engine.optim import Optimizer, OptimSpec, fused, groups


def build(model: nn.Module, spec: OptimSpec) -> Optimizer:
    return torch.optim.Adam(
        groups(model, spec), lr=spec.lr, fused=fused(model.parameters()), capturable=spec.graph
    )

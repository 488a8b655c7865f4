"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

import torch
from torch import nn

from fmnist_tui.engine.optim import Optimizer, OptimSpec, parameter_groups


def build(model: nn.Module, spec: OptimSpec) -> Optimizer:
    return torch.optim.AdamW(
        parameter_groups(model, spec), lr=spec.lr, fused=True, capturable=spec.graph
    )

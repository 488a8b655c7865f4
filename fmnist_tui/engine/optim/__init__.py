"""The optimisers, one file each: a file's name is the optimiser's, its `build` makes one.

The learning rate is a tensor on the training device, so that a captured CUDA graph
sees every change of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class OptimSpec:
    """What an optimiser is to do. `graph` says that its step will be captured."""

    lr: Tensor
    momentum: float
    weight_decay: float
    graph: bool = False


def parameter_groups(model: nn.Module, spec: OptimSpec) -> list[dict[str, object]]:
    """Parameters in two groups: matrices and filters decay, biases and norms do not."""
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in learnt if parameter.ndim >= 2]
    plain = [parameter for parameter in learnt if parameter.ndim < 2]
    return [
        {"params": parameters, "weight_decay": decay, "lr": spec.lr}
        for parameters, decay in ((decayed, spec.weight_decay), (plain, 0.0))
        if parameters
    ]


def supports_fused(parameters: Iterable[Tensor]) -> bool:
    """Whether torch has fused kernels for where these parameters live."""
    return all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in parameters)


Optimizer = torch.optim.Optimizer

"""The optimisers, one file each: the file name is the optimiser's name, its `build` builds one.

The learning rate is a tensor on the training device, so that a captured CUDA graph uses its
current value.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class OptimSpec:
    """The settings of an optimiser. `graph` says that its step will be captured."""

    lr: Tensor
    momentum: float
    weight_decay: float
    graph: bool = False


def parameter_groups(model: nn.Module, spec: OptimSpec) -> list[dict[str, object]]:
    """Two groups: matrices and filters with weight decay, biases and norms without."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in trainable if parameter.ndim >= 2]
    undecayed = [parameter for parameter in trainable if parameter.ndim < 2]
    return [
        {"params": parameters, "weight_decay": decay, "lr": spec.lr}
        for parameters, decay in ((decayed, spec.weight_decay), (undecayed, 0.0))
        if parameters
    ]


Optimizer = torch.optim.Optimizer

"""Muon: filters move along the orthogonal matrix nearest to their momentum.

Parameters that are not matrices (biases, norms) and the last layer, whose rows are classes and
not features, are updated by Adam at a tenth of the rate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fmnist_tui.engine.optim import Optimizer, OptimSpec

# Coefficients of the odd quintic polynomial that drives singular values towards one.
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
ADAM_SHARE = 0.1
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def orthogonalise(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix close to one."""
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    x = x / (x.norm() + 1e-7)
    is_tall = x.shape[0] > x.shape[1]
    if is_tall:
        x = x.T
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = A * x + (B * gram + C * gram @ gram) @ x
    result: Tensor = x.T if is_tall else x
    return result.to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """An optimiser with two update rules; each parameter group names its own (`way`)."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            update = self._update_muon if group["way"] == "muon" else self._update_adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, group)

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict(state_dict)
        # torch keeps state called `step` on the CPU, where a captured graph would treat it as
        # a constant.
        for parameter, state in self.state.items():
            if "step" in state:
                state["step"] = state["step"].to(parameter.device)

    def _update_muon(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"]
        momentum.lerp_(grad, 1 - group["momentum"])
        direction = grad.lerp(momentum, group["momentum"]).flatten(1)
        scale = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(orthogonalise(direction).view_as(parameter) * (group["lr"] * scale))

    def _update_adam(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros((), device=parameter.device)
        state["step"] += 1
        state["mean"].lerp_(grad, 1 - BETA1)
        state["square"].lerp_(grad * grad, 1 - BETA2)
        mean = state["mean"] / (1 - BETA1 ** state["step"])
        root = (state["square"] / (1 - BETA2 ** state["step"])).sqrt()
        parameter.sub_(mean / (root + EPSILON) * (group["lr"] * ADAM_SHARE))


def build(model: nn.Module, spec: OptimSpec) -> Optimizer:
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trainable if parameter.ndim >= 2]
    head = matrices[-1] if matrices else None
    muon = [parameter for parameter in matrices if parameter is not head]
    rest = [parameter for parameter in trainable if parameter is head or parameter.ndim < 2]
    return Muon(
        [
            {"params": parameters, "way": way}
            for parameters, way in ((muon, "muon"), (rest, "adam"))
            if parameters
        ],
        {"lr": spec.lr, "momentum": spec.momentum, "weight_decay": spec.weight_decay},
    )

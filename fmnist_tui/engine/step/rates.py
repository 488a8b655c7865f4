"""The learning rates as tensors on the device, so that a captured step uses each step's own."""

from __future__ import annotations

import torch
from torch import Tensor


class RateTensors:
    """The rate of the network, and that of its body: `body_share` of it."""

    def __init__(self, rate: float, body_share: float, device: torch.device) -> None:
        self._body_share = body_share
        self.base = torch.tensor(rate, dtype=torch.float32, device=device)
        self.body = self.base * body_share

    def pair(self, rate: float) -> tuple[float, float]:
        """Both rates of a step with this learning rate."""
        return rate, rate * self._body_share

    def fill(self, rate: float) -> None:
        """Set both to the rates of the next step."""
        base, body = self.pair(rate)
        self.base.fill_(base)
        self.body.fill_(body)

    def copy_from(self, pair: Tensor) -> None:
        """Set both to a pair on the device."""
        self.base.copy_(pair[0])
        self.body.copy_(pair[1])

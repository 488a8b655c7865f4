"""The learning rates as tensors on the device, so that a captured step uses each step's own."""

from __future__ import annotations

import torch


class RateTensors:
    """The rate of the network, and that of its body: `body_share` of it."""

    def __init__(self, rate: float, body_share: float, device: torch.device) -> None:
        self._body_share = body_share
        self.base = torch.tensor(rate, dtype=torch.float32, device=device)
        self.body = self.base * body_share

    def fill(self, rate: float) -> None:
        """Set both to the rate of the next step."""
        self.base.fill_(rate)
        self.body.fill_(rate * self._body_share)

"""Several networks as one: what an ensemble computes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fmnist_tui.engine.compute.loader import Normalisation

# No logarithm of nothing.
LEAST = 1e-12


class EnsembleModule(nn.ModuleList):
    """Takes pixels as they are, 0 to 255; gives the logarithm of its members' mean probability.

    Each member normalises for itself, since each may have been trained on another part of
    the images. A member's weights go by its number: `0.`, `1.` and so on."""

    def __init__(self, members: Iterable[tuple[nn.Module, Normalisation]]) -> None:
        networks, normalisations = zip(*members, strict=True)
        super().__init__(networks)
        self._normalisations: tuple[Normalisation, ...] = normalisations

    def forward(self, pixels: Tensor) -> Tensor:
        pairs = zip(self, self._normalisations, strict=True)
        shares = [
            network(normalisation.apply(pixels.clone())).float().softmax(1)
            for network, normalisation in pairs
        ]
        return torch.stack(shares).mean(0).clamp_min(LEAST).log()

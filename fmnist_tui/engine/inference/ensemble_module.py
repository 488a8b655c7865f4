"""The network of an ensemble: several networks as one module."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fmnist_tui.engine.compute.loader import Normalisation

# Keeps the logarithm of a probability finite.
MIN_PROBABILITY = 1e-12


class EnsembleModule(nn.ModuleList):
    """Takes raw pixels, 0 to 255; returns the logarithm of its members' mean probabilities.

    Each member has a normalisation of its own, since members may have been trained on different
    parts of the images. A member's weights are prefixed by its number: `0.`, `1.` and so on."""

    def __init__(self, members: Iterable[tuple[nn.Module, Normalisation]]) -> None:
        networks, normalisations = zip(*members, strict=True)
        super().__init__(networks)
        self._normalisations: tuple[Normalisation, ...] = normalisations

    def forward(self, pixels: Tensor) -> Tensor:
        probabilities = [
            network(normalisation.apply(pixels.clone())).float().softmax(1)
            for network, normalisation in zip(self, self._normalisations, strict=True)
        ]
        return torch.stack(probabilities).mean(0).clamp_min(MIN_PROBABILITY).log()

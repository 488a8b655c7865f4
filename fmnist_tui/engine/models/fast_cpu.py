"""The network of `fast`, cut to what a CPU computes quickly: 16 whitened channels, as many as fill
a vector register, and two convolutions, each followed by pooling."""

from __future__ import annotations

from torch import nn

from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.models.fast import (
    WhitenedNetwork,
    Whitening,
    classify,
    pooled_convolution,
)

DIRECTIONS = 8


def build(spec: ModelSpec) -> nn.Module:
    first, second = spec.wide(32), spec.wide(64)
    whitening = Whitening(spec.channels, DIRECTIONS)
    body = nn.Sequential(
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        *pooled_convolution(whitening.outputs, first),
        *pooled_convolution(first, second),
        *classify(second, spec.size, spec.classes, spec.dropout),
    )
    return WhitenedNetwork(whitening, body)

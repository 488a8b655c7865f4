"""The network of `fast`, cut to what a CPU computes quickly: 16 whitened channels, as many as fill
a vector register, and two convolutions, each followed by pooling."""

from __future__ import annotations

from torch import nn

from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.models.fast import WhitenedNetwork, Whitening

DIRECTIONS = 8


def build(spec: ModelSpec) -> nn.Module:
    first, second = spec.wide(32), spec.wide(64)
    whitening = Whitening(spec.channels, DIRECTIONS)
    body = nn.Sequential(
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(whitening.outputs, first, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(first),
        nn.ReLU(inplace=True),
        nn.Conv2d(first, second, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(second),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(spec.dropout),
        nn.Linear(second * ((spec.size - 2) // 8) ** 2, spec.classes),
    )
    return WhitenedNetwork(whitening, body)

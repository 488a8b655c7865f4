"""A multilayer perceptron with two hidden layers."""

from __future__ import annotations

from torch import nn

from fmnist_tui.engine.models import ModelSpec


def build(spec: ModelSpec) -> nn.Module:
    first, second = spec.wide(512), spec.wide(256)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(spec.channels * spec.size**2, first),
        nn.ReLU(inplace=True),
        nn.Dropout(spec.dropout),
        nn.Linear(first, second),
        nn.ReLU(inplace=True),
        nn.Dropout(spec.dropout),
        nn.Linear(second, spec.classes),
    )

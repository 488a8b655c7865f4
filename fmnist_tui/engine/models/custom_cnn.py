"""Three convolutions with batch normalisation and pooling, then dense layers."""

from __future__ import annotations

from torch import nn

from fmnist_tui.engine.models import ModelSpec


def _block(inputs: int, outputs: int, padding: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=padding, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def build(spec: ModelSpec) -> nn.Module:
    first, second, third, hidden = (spec.wide(count) for count in (32, 64, 128, 256))
    side = spec.size // 2 // 2 // 2
    return nn.Sequential(
        *_block(spec.channels, first),
        *_block(first, second),
        *_block(second, third),
        nn.Flatten(),
        nn.Dropout(spec.dropout),
        nn.Linear(third * side**2, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(spec.dropout),
        nn.Linear(hidden, spec.classes),
    )

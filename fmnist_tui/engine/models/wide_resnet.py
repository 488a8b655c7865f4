"""A wide residual network (16 layers, widths ×4: WRN-16-4): pre-activation blocks with dropout."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fmnist_tui.engine.models import ModelSpec


class PreActivationBlock(nn.Module):
    """Normalise, activate, convolve, twice; a shortcut convolution gets the activated input."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        y = self.conv1(active)
        y = self.conv2(self.dropout(F.relu(self.norm2(y), inplace=True)))
        out: Tensor = y + shortcut
        return out


def build(spec: ModelSpec, blocks: int = 2) -> nn.Module:
    """A network of three stages with so many blocks each."""
    widths = [spec.wide(count) for count in (64, 128, 256)]
    layers: list[nn.Module] = [nn.Conv2d(spec.channels, spec.wide(16), 3, padding=1, bias=False)]
    inputs = spec.wide(16)
    for stage, outputs in enumerate(widths):
        for index in range(blocks):
            stride = 2 if stage and not index else 1
            layers.append(PreActivationBlock(inputs, outputs, stride, spec.dropout))
            inputs = outputs
    return nn.Sequential(
        *layers,
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(inputs, spec.classes),
    )

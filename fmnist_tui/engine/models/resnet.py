"""A CIFAR-style residual network: three stages of basic blocks, 20 layers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fmnist_tui.engine.models import ModelSpec


class BasicBlock(nn.Module):
    """Two convolutions with a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


def build(spec: ModelSpec) -> nn.Module:
    widths = [spec.wide(count) for count in (16, 32, 64)]
    layers: list[nn.Module] = [
        nn.Conv2d(spec.channels, widths[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    inputs = widths[0]
    for stage, outputs in enumerate(widths):
        for index in range(3):
            layers.append(BasicBlock(inputs, outputs, stride=2 if stage and not index else 1))
            inputs = outputs
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(spec.dropout),
        nn.Linear(inputs, spec.classes),
    )

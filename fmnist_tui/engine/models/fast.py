"""A model that learns quickly: a fixed whitening layer, then a few cheap convolutions.

The first layer is not trained. Its filters are the principal directions of the training
images' 3×3 patches, each scaled to unit variance and used with both signs, so that the layers
after it get decorrelated inputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fmnist_tui.engine.models import ModelSpec

PATCH = 3


class Whitening(nn.Module):
    """Decorrelates patches; its filters come from `prepare`, not from gradients."""

    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        directions = channels * PATCH**2
        self.outputs = 2 * directions
        self.register_buffer("weight", torch.zeros(self.outputs, channels, PATCH, PATCH))

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        patches = F.unfold(images.float(), PATCH).transpose(1, 2).flatten(0, 1)
        patches = patches - patches.mean(0)
        covariance = (patches.T @ patches / len(patches)).cpu().double()  # MPS has no doubles
        values, vectors = torch.linalg.eigh(covariance)
        filters = (vectors / (values.clamp_min(0) + 5e-4).sqrt()).T.float()
        self.weight.copy_(torch.cat([filters, -filters]).view_as(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight)


class Fast(nn.Module):
    """Whitening, three convolutions with pooling and normalisation, one linear layer."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        first, second, third = (spec.wide(count) for count in (32, 64, 128))
        self.whitening = Whitening(spec.channels)
        self.body = nn.Sequential(
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(self.whitening.outputs, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(second),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, third, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(third),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Dropout(spec.dropout),
            nn.Linear(third * ((spec.size - 2) // 8) ** 2, spec.classes),
        )

    def prepare(self, images: Tensor) -> None:
        """Set the whitening filters from normalised training images, before the first step."""
        self.whitening.prepare(images)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(self.whitening(x))
        return logits


def build(spec: ModelSpec) -> nn.Module:
    return Fast(spec)

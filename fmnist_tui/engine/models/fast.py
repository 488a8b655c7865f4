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
    """Decorrelates patches; its filters come from `prepare`, not from gradients.

    They are the strongest `directions` of the patches, or all."""

    weight: Tensor

    def __init__(self, channels: int, directions: int | None = None) -> None:
        super().__init__()
        directions = directions or channels * PATCH**2
        self.outputs = 2 * directions
        self.register_buffer("weight", torch.zeros(self.outputs, channels, PATCH, PATCH))

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        patches = F.unfold(images.float(), PATCH).transpose(1, 2).flatten(0, 1)
        patches = patches - patches.mean(0)
        covariance = (patches.T @ patches / len(patches)).cpu().double()  # MPS has no doubles
        values, vectors = torch.linalg.eigh(covariance)
        filters = (vectors / (values.clamp_min(0) + 5e-4).sqrt()).T.float()
        # in ascending order of their strength
        filters = filters[-(self.outputs // 2) :]
        self.weight.copy_(torch.cat([filters, -filters]).view_as(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight)


class WhitenedNetwork(nn.Module):
    """Layers that are trained, after whitening that is not."""

    def __init__(self, whitening: Whitening, body: nn.Sequential) -> None:
        super().__init__()
        self.whitening, self.body = whitening, body

    def prepare(self, images: Tensor) -> None:
        """Set the whitening filters from normalised training images, before the first step."""
        self.whitening.prepare(images)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(self.whitening(x))
        return logits


def pooled_convolution(inputs: int, outputs: int) -> list[nn.Module]:
    """Pooling comes first of what follows the convolution: the rest has a quarter of the work."""
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def classify(channels: int, size: int, classes: int, dropout: float) -> list[nn.Module]:
    """The last layers, after three poolings."""
    return [
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(channels * ((size - 2) // 8) ** 2, classes),
    ]


def build(spec: ModelSpec) -> nn.Module:
    """Whitening, three convolutions with pooling and normalisation, one linear layer."""
    first, second, third = (spec.wide(count) for count in (32, 64, 128))
    whitening = Whitening(spec.channels)
    body = nn.Sequential(
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(whitening.outputs, first, 3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(inplace=True),
        *pooled_convolution(first, second),
        *pooled_convolution(second, third),
        *classify(third, spec.size, spec.classes, spec.dropout),
    )
    return WhitenedNetwork(whitening, body)

"""A split on the training device, and the order in which its images are used.

Images stay uint8 and move to the device once; a batch is gathered there by index.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.compute import rng

# A split larger than this stays memory-mapped on the host and is copied batch by batch.
MAX_RESIDENT_BYTES = 8 << 30
# Images that the normalisation is measured on: evenly spaced, so always the same ones.
NORMALISATION_IMAGES = 20_000


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Per-channel mean and standard deviation of the training images, in units of 0 to 255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def from_split(cls, split: Split) -> Normalisation:
        images = split.images
        if len(images) > NORMALISATION_IMAGES:
            spaced = np.linspace(0, len(images) - 1, NORMALISATION_IMAGES)
            images = images[spaced.astype(np.int64)]
        levels = np.arange(256, dtype=np.float64)
        means, stds = [], []
        for values in images.reshape(-1, images.shape[-1]).T:
            counts = np.bincount(values, minlength=256)
            mean = float((counts * levels).sum() / counts.sum())
            square = float((counts * levels**2).sum() / counts.sum())
            means.append(mean)
            stds.append(max(square - mean**2, 1.0) ** 0.5)
        return cls(tuple(means), tuple(stds))

    def apply(self, pixels: Tensor) -> Tensor:
        """Centre and scale float pixels, in place."""
        if len(self.mean) == 1:
            return pixels.sub_(self.mean[0]).mul_(1 / self.std[0])
        # Plain numbers, not tensors: a captured graph must not copy from the host.
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            pixels[:, channel].sub_(mean).div_(std)
        return pixels


class DeviceSplit:
    """Images (uint8, channels first in shape and last in memory) and labels on the device."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.device = device
        self.count = len(split)
        # seconds spent copying batches from the host; readers set it back to 0
        self.fetch_seconds = 0.0
        # Read-only arrays, which torch warns about, are copied once.
        self.labels = torch.from_numpy(np.require(split.labels, None, ("C", "W"))).to(device)
        self._images = torch.from_numpy(np.require(split.images, None, "W")).permute(0, 3, 1, 2)
        self.is_resident = device.type == "cpu" or split.images.nbytes <= MAX_RESIDENT_BYTES
        if self.is_resident:
            self._images = self._images.to(device)

    def gather(self, indices: Tensor) -> Tensor:
        """Images by index (a tensor on the device), uint8."""
        if self.is_resident:
            return self._images[indices]
        start = time.perf_counter()
        batch = self._images[indices.cpu()].to(self.device)
        self.fetch_seconds += time.perf_counter() - start
        return batch

    def slice(self, start: int, stop: int) -> Tensor:
        """Consecutive images, uint8."""
        return self._images[start:stop].to(self.device)


class BatchOrder:
    """Which images make up each batch of an epoch."""

    def __init__(self, count: int, batch_size: int, seed: int, device: torch.device) -> None:
        self.batch_size = min(batch_size, count)
        self.steps_per_epoch = max(1, count // self.batch_size)
        self._count, self._seed, self._device = count, seed, device

    @property
    def left_out(self) -> int:
        """The images that an epoch does not use, others in each epoch."""
        return self._count - self.steps_per_epoch * self.batch_size

    def epoch_indices(self, epoch: int) -> Tensor:
        """The indices of an epoch, one row per batch; what would be a short last batch is left
        out. They depend only on the seed and the epoch, so that a resumed run has the same."""
        generator = torch.Generator().manual_seed(rng.epoch_seed(self._seed, epoch))
        permutation = torch.randperm(self._count, generator=generator)
        used = permutation[: self.steps_per_epoch * self.batch_size]
        return used.view(self.steps_per_epoch, self.batch_size).to(self._device)

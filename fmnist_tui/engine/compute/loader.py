"""A split for the training device, and the order in which its images are used.

Images stay uint8 and move to the device once, if they fit; a batch is gathered there by index.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fmnist_tui.data.dataset import Images, Split
from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.compute.device_memory import fits, free_bytes
from fmnist_tui.util.formatting import format_size

# Images that the normalisation is measured on: evenly spaced, so always the same ones.
NORMALISATION_IMAGES = 20_000


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Per-channel mean and standard deviation of the training images, in units of 0 to 255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def from_split(cls, split: Split) -> Normalisation:
        """That of a split, measured once."""
        if split not in _measured:
            _measured[split] = cls._measure(split.images)
        return _measured[split]

    @classmethod
    def _measure(cls, images: Images) -> Normalisation:
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

    def normalise(self, images: Tensor) -> Tensor:
        """Images of any type, centred and scaled, as new float pixels."""
        if len(self.mean) == 1:
            return images.sub(self.mean[0]).mul_(1 / self.std[0])
        return self.apply(images.to(torch.float32, copy=True))

    def apply(self, pixels: Tensor) -> Tensor:
        """Centre and scale float pixels, in place."""
        if len(self.mean) == 1:
            return pixels.sub_(self.mean[0]).mul_(1 / self.std[0])
        # Plain numbers, not tensors: a captured graph must not copy from the host.
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            pixels[:, channel].sub_(mean).div_(std)
        return pixels


_measured: weakref.WeakKeyDictionary[Split, Normalisation] = weakref.WeakKeyDictionary()


class DeviceSplit:
    """Images (uint8, channels first in shape and last in memory) and labels for a device.

    Images that do not fit stay in host memory; `note` then says why. Runs share a split: what
    `slice` returns is not to be written to."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.device, self.count = device, len(split)
        self.source = weakref.ref(split)
        # seconds spent waiting for batches from the host; readers set it back to 0
        self.fetch_seconds = 0.0
        self.note = ""
        # Read-only arrays, which torch warns about, are copied once.
        self.labels = torch.from_numpy(np.require(split.labels, None, ("C", "W"))).to(device)
        images = torch.from_numpy(np.require(split.images, None, "W")).permute(0, 3, 1, 2)
        free = free_bytes(device)
        self.is_resident = fits(images.nbytes, free)
        if self.is_resident:
            try:
                images = images.to(device)
            except torch.OutOfMemoryError:
                # Free memory may be in pieces, or taken by another program meanwhile.
                self.is_resident = False
        self._images = images
        if not self.is_resident:
            self.note = f"the images ({format_size(images.nbytes)}) stay in host memory"
            if free is not None:
                self.note += f": the GPU has {format_size(free)} free"

    @property
    def index_device(self) -> torch.device:
        """Where `gather` wants its indices."""
        return self._images.device

    @property
    def has_room_for_copy(self) -> bool:
        """Whether the device has room for the images once more."""
        return fits(self._images.nbytes, free_bytes(self.device))

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (uint8) and labels by index, a tensor on the `index_device`."""
        labels = self.labels[indices.to(self.labels.device)]
        return self._images[indices].to(self.device), labels

    def slice(self, start: int, stop: int) -> Tensor:
        """Consecutive images, uint8."""
        return self._images[start:stop].to(self.device)

    def expect(self, rows: Tensor) -> None:
        """Be told that these rows of indices are probably asked for next, one after another."""

    def close(self) -> None:
        """End what a run has begun."""


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

"""The training images of an epoch, with the augmentation that is drawn once an epoch.

What is drawn here depends on the seed and the epoch alone, not on the generators that steps draw
from: a run that is resumed in the middle of an epoch gets the same images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.compute.loader import DeviceSplit, Normalisation

CHUNK = 2048


class EpochImages:
    """Gives each step of an epoch its images, mirrored in turn (`alternate_flip`) or augmented
    all at once (`augment_once`), as the settings say.

    The tensors keep their places from epoch to epoch, so that a captured step reads them."""

    def __init__(self, data: DeviceSplit, config: RunConfig, normalisation: Normalisation) -> None:
        self._data, self._seed = data, config.seed
        self._augment = Augment(config, normalisation)
        self._epoch = -1
        # a split that is not on the device, or of which there is no room for a copy, cannot be
        # augmented there
        self.are_augmented = config.augment_once and data.is_resident and data.has_room_for_copy
        self._augmented = (
            torch.empty_like(data.slice(0, data.count)) if self.are_augmented else None
        )
        # the images that are mirrored in even epochs; the others are in odd ones
        self._mirrored_first: Tensor | None = None
        if config.flip and config.alternate_flip:
            self._mirrored_first = _draw_half(data.count, config.seed).to(data.index_device)
        self._is_odd = torch.zeros((), dtype=torch.bool, device=data.index_device)

    def begin(self, epoch: int, on_tick: Callable[[], None] = lambda: None) -> None:
        """Draw what this epoch draws once; `on_tick` is called every few thousand images."""
        if epoch == self._epoch:
            return
        self._epoch = -1
        self._is_odd.fill_(bool(epoch % 2))
        if self._augmented is not None:
            seed = rng.epoch_seed(self._seed, epoch, rng.AUGMENTATION)
            with rng.drawn_from(seed, self._data.device):
                for start in range(0, self._data.count, CHUNK):
                    chunk = slice(start, start + CHUNK)
                    images = self._mirror(self._data.slice(chunk.start, chunk.stop), chunk)
                    self._augmented[chunk] = self._augment.transform_to_bytes(images)
                    on_tick()
        self._epoch = epoch

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (uint8) and labels by index, a tensor where the data wants them."""
        if self._augmented is not None:
            return self._augmented[indices], self._data.labels[indices]
        images, labels = self._data.gather(indices)
        return self._mirror(images, indices), labels

    def _mirror(self, images: Tensor, indices: Tensor | slice) -> Tensor:
        if self._mirrored_first is None:
            return images
        is_mirrored = (self._mirrored_first[indices] ^ self._is_odd).to(images.device)
        return torch.where(is_mirrored.view(-1, 1, 1, 1), images.flip(-1), images)


def _draw_half(count: int, seed: int) -> Tensor:
    """About half of the images, by the seed alone."""
    generator = torch.Generator().manual_seed(rng.epoch_seed(seed, 0, rng.FLIPS))
    return torch.rand(count, generator=generator) < 0.5

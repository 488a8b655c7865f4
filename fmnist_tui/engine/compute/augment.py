"""Augmentation of whole batches on the device.

`Augment` takes a batch of uint8 images and labels and gives normalised floats and
targets. All randomness comes from the device's default generator, which checkpoints
keep and CUDA graphs know how to replay; nothing here waits for the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.compute.loader import Normalisation

ERASED_AREA = (0.02, 0.25)
ERASED_RATIO = (0.4, 2.5)


@dataclass(frozen=True, slots=True)
class Targets:
    """Labels, and for a mixed batch the labels mixed in and each image's own share."""

    labels: Tensor
    mixed_labels: Tensor | None = None
    share: Tensor | None = None

    def loss(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean cross-entropy of the batch."""
        logits = logits.float()
        own = F.cross_entropy(
            logits,
            self.labels,
            label_smoothing=smoothing,
            reduction="none" if self.is_mixed else "mean",
        )
        if self.mixed_labels is None or self.share is None:
            return own
        other = F.cross_entropy(
            logits, self.mixed_labels, label_smoothing=smoothing, reduction="none"
        )
        return (own * self.share + other * (1 - self.share)).mean()

    @property
    def is_mixed(self) -> bool:
        return self.mixed_labels is not None


class Augment:
    """A config's augmentation as one function of a batch."""

    def __init__(self, config: RunConfig, normalisation: Normalisation) -> None:
        self._config = config
        self._normalise = normalisation.apply

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Targets]:
        pixels = self.transform(images)
        pixels = self._normalise(pixels).contiguous(memory_format=torch.channels_last)
        return self._mix(pixels, labels)

    def transform(self, images: Tensor) -> Tensor:
        """What happens to each image by itself, as float pixels from 0 to 255."""
        config = self._config
        if config.flip:
            mirrored = torch.rand(len(images), device=images.device) < 0.5
            images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
        if config.shift:
            images = moved(images, config.shift, "constant")
        if config.crop:
            images = moved(images, config.crop, "reflect")
        pixels = images.float()
        if config.rotate or config.scale:
            pixels = turned(pixels, config.rotate, config.scale)
        if config.erase:
            pixels = erased(pixels, config.erase)
        return pixels

    def preview(self, images: Tensor) -> Tensor:
        """The batch as a model would see it, but in plain uint8 pixels. Where the config
        mixes images, several are mixed with each other; a single one stays itself."""
        pixels = self.transform(images)
        if len(images) > 1:
            pixels, _ = self._mix(pixels, torch.zeros(len(images), dtype=torch.int64))
        return pixels.round().clamp(0, 255).to(torch.uint8)

    def _mix(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Targets]:
        config = self._config
        if config.mixup:
            share = beta(config.mixup, len(pixels), pixels.device)
            weight = share.view(-1, 1, 1, 1)
            blended = pixels * weight + pixels.roll(1, 0) * (1 - weight)
            return blended, Targets(labels, labels.roll(1, 0), share)
        if config.cutmix:
            share = beta(config.cutmix, len(pixels), pixels.device)
            height, width = pixels.shape[-2:]
            side = (1 - share).sqrt()
            box = boxes(side * height, side * width, height, width)
            kept = 1 - box.float().mean((1, 2, 3))
            return torch.where(box, pixels.roll(1, 0), pixels), Targets(
                labels, labels.roll(1, 0), kept
            )
        return pixels, Targets(labels)


def moved(images: Tensor, most: int, behind: str) -> Tensor:
    """Each image moved by up to `most` whole pixels both ways."""
    count, _, height, width = images.shape
    if behind == "reflect":
        # Padding by reflection knows no uint8; the values survive the way through float.
        padded = F.pad(images.float(), (most,) * 4, mode="reflect").to(images.dtype)
    else:
        padded = F.pad(images, (most,) * 4)
    places = torch.randint(2 * most + 1, (2, count), device=images.device)
    windows = padded.permute(0, 2, 3, 1).unfold(1, height, 1).unfold(2, width, 1)
    # (count, channels, height, width): every image's own window
    return windows[torch.arange(count, device=images.device), places[0], places[1]]


def turned(pixels: Tensor, degrees: float, scale: float) -> Tensor:
    """Each image turned and scaled at random about its centre."""
    count = len(pixels)
    random = torch.rand(2, count, device=pixels.device) * 2 - 1
    angle = random[0] * (degrees * math.pi / 180)
    factor = torch.exp(random[1] * -math.log1p(scale))
    cos, sin, zero = angle.cos() * factor, angle.sin() * factor, torch.zeros_like(angle)
    matrix = torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(count, 2, 3)
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def erased(pixels: Tensor, chance: float) -> Tensor:
    """In some images, a random box filled with noise."""
    count, _, height, width = pixels.shape
    random = torch.rand(3, count, device=pixels.device)
    area = (ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * random[0]) * height * width
    low, high = math.log(ERASED_RATIO[0]), math.log(ERASED_RATIO[1])
    ratio = torch.exp(low + (high - low) * random[1])
    box = boxes((area * ratio).sqrt(), (area / ratio).sqrt(), height, width)
    box = box & (random[2] < chance).view(-1, 1, 1, 1)
    return torch.where(box, torch.rand_like(pixels) * 255, pixels)


def boxes(tall: Tensor, wide: Tensor, height: int, width: int) -> Tensor:
    """For each image a mask with one box of about this height and width, wholly inside."""
    random = torch.rand(2, len(tall), device=tall.device)
    tall, wide = tall.round().clamp(0, height), wide.round().clamp(0, width)
    top = (random[0] * (height - tall + 1)).floor().view(-1, 1, 1, 1)
    left = (random[1] * (width - wide + 1)).floor().view(-1, 1, 1, 1)
    rows = torch.arange(height, device=tall.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=tall.device).view(1, 1, 1, -1)
    tall, wide = tall.view(-1, 1, 1, 1), wide.view(-1, 1, 1, 1)
    return (rows >= top) & (rows < top + tall) & (columns >= left) & (columns < left + wide)


def beta(strength: float, count: int, device: torch.device) -> Tensor:
    """Draws from Beta(strength, strength), one for each image."""
    shape = torch.full((2, count), strength, device=device)
    gamma = torch._standard_gamma(shape).clamp_min(1e-12)
    return gamma[0] / gamma.sum(0)

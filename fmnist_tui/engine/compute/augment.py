"""Augmentation of whole batches on the device.

`Augment` turns a batch of uint8 images and labels into normalised floats and targets. All
randomness comes from the device's default generator, which checkpoints keep and CUDA graphs
know how to replay; nothing here waits for the device.
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
# How steeply the amplitudes of FMix's noise fall with its frequency.
FMIX_DECAY = 3.0


@dataclass(frozen=True, slots=True)
class Targets:
    """Labels; for a mixed batch also the labels mixed in and the weight of each image's own."""

    labels: Tensor
    mixed_labels: Tensor | None = None
    weight: Tensor | None = None

    def take(self, rows: slice) -> Targets:
        """Those of some images of the batch."""
        if self.mixed_labels is None or self.weight is None:
            return Targets(self.labels[rows])
        return Targets(self.labels[rows], self.mixed_labels[rows], self.weight[rows])

    def loss(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean cross-entropy of the batch."""
        logits = logits.float()
        if self.mixed_labels is None or self.weight is None:
            return F.cross_entropy(logits, self.labels, label_smoothing=smoothing)
        own, mixed = (
            F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
            for labels in (self.labels, self.mixed_labels)
        )
        return (own * self.weight + mixed * (1 - self.weight)).mean()


class Augment:
    """A config's augmentation as a function of a batch.

    Without `transforms` it only mixes: each image by itself is augmented already."""

    def __init__(
        self, config: RunConfig, normalisation: Normalisation, transforms: bool = True
    ) -> None:
        self._config, self._transforms = config, transforms
        self._normalise = normalisation.apply

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Targets]:
        pixels = self._normalise(self.transform(images) if self._transforms else images.float())
        return self._mix(pixels.contiguous(memory_format=torch.channels_last), labels)

    def transform(self, images: Tensor) -> Tensor:
        """Apply what changes each image by itself; returns float pixels from 0 to 255."""
        config = self._config
        if config.flip and not config.alternate_flip:
            flipped = torch.rand(len(images), device=images.device) < 0.5
            images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)
        if config.shift:
            images = random_shift(images, config.shift, "constant")
        if config.crop:
            images = random_shift(images, config.crop, "reflect")
        pixels = images.float()
        if config.rotate or config.scale:
            pixels = random_affine(pixels, config.rotate, config.scale)
        if config.erase:
            pixels = random_erase(pixels, config.erase)
        return pixels

    def transform_to_bytes(self, images: Tensor) -> Tensor:
        """What changes each image by itself, rounded to plain uint8 pixels."""
        return _to_bytes(self.transform(images))

    def preview(self, images: Tensor) -> Tensor:
        """The batch as a model would see it, but as plain uint8 pixels. With mixup, cutmix
        or fmix the images of the batch are mixed with each other; a single image is not mixed."""
        pixels = self.transform(images)
        if len(images) > 1:
            pixels, _ = self._mix(pixels, torch.zeros(len(images), dtype=torch.int64))
        return _to_bytes(pixels)

    def _mix(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Targets]:
        config = self._config
        strength = config.mixup or config.cutmix or config.fmix
        if not strength:
            return pixels, Targets(labels)
        weight = sample_beta(strength, len(pixels), pixels.device)
        if config.mixup:
            factor = weight.view(-1, 1, 1, 1)
            mixed = pixels * factor + pixels.roll(1, 0) * (1 - factor)
        else:
            height, width = pixels.shape[-2:]
            if config.cutmix:
                side = (1 - weight).sqrt()
                mask = random_boxes(side * height, side * width, height, width)
            else:
                mask = random_areas(1 - weight, height, width)
            mixed = torch.where(mask, pixels.roll(1, 0), pixels)
            # The share of pixels that are the image's own, masks being of whole pixels.
            weight = 1 - mask.float().mean((1, 2, 3))
        return mixed, Targets(labels, labels.roll(1, 0), weight)


def random_shift(images: Tensor, limit: int, padding: str) -> Tensor:
    """Shift each image by up to `limit` whole pixels in both directions."""
    count, _, height, width = images.shape
    if padding == "reflect":
        # Reflection padding does not support uint8; float represents the values exactly.
        padded = F.pad(images.float(), (limit,) * 4, mode="reflect").to(images.dtype)
    else:
        padded = F.pad(images, (limit,) * 4)
    offsets = torch.randint(2 * limit + 1, (2, count), device=images.device)
    windows = padded.permute(0, 2, 3, 1).unfold(1, height, 1).unfold(2, width, 1)
    # (count, channels, height, width): one window per image
    return windows[torch.arange(count, device=images.device), offsets[0], offsets[1]]


def random_affine(pixels: Tensor, degrees: float, scale: float) -> Tensor:
    """Rotate and scale each image at random about its centre."""
    count = len(pixels)
    random = torch.rand(2, count, device=pixels.device) * 2 - 1
    angle = random[0] * (degrees * math.pi / 180)
    factor = torch.exp(random[1] * -math.log1p(scale))
    cos, sin, zero = angle.cos() * factor, angle.sin() * factor, torch.zeros_like(angle)
    matrix = torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(count, 2, 3)
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def random_erase(pixels: Tensor, probability: float) -> Tensor:
    """Fill a random box with noise, in each image with this probability."""
    count, _, height, width = pixels.shape
    random = torch.rand(3, count, device=pixels.device)
    area = (ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * random[0]) * height * width
    low, high = math.log(ERASED_RATIO[0]), math.log(ERASED_RATIO[1])
    ratio = torch.exp(low + (high - low) * random[1])
    box = random_boxes((area * ratio).sqrt(), (area / ratio).sqrt(), height, width)
    box = box & (random[2] < probability).view(-1, 1, 1, 1)
    return torch.where(box, torch.rand_like(pixels) * 255, pixels)


def random_boxes(
    box_heights: Tensor, box_widths: Tensor, image_height: int, image_width: int
) -> Tensor:
    """A mask per image with one box of about this height and width, fully inside the image."""
    random = torch.rand(2, len(box_heights), device=box_heights.device)
    heights = box_heights.round().clamp(0, image_height)
    widths = box_widths.round().clamp(0, image_width)
    top = (random[0] * (image_height - heights + 1)).floor().view(-1, 1, 1, 1)
    left = (random[1] * (image_width - widths + 1)).floor().view(-1, 1, 1, 1)
    rows = torch.arange(image_height, device=heights.device).view(1, 1, -1, 1)
    columns = torch.arange(image_width, device=heights.device).view(1, 1, 1, -1)
    heights, widths = heights.view(-1, 1, 1, 1), widths.view(-1, 1, 1, 1)
    return (rows >= top) & (rows < top + heights) & (columns >= left) & (columns < left + widths)


def random_areas(shares: Tensor, height: int, width: int) -> Tensor:
    """A mask per image of this share of its pixels, in few connected areas of any form: where
    noise of low frequencies is highest (FMix)."""
    count, device = len(shares), shares.device
    rows = torch.fft.fftfreq(height, device=device).view(-1, 1)
    frequencies = (rows**2 + torch.fft.rfftfreq(width, device=device) ** 2).sqrt()
    amplitudes = frequencies.clamp_min(1 / max(height, width)) ** -FMIX_DECAY
    waves = torch.randn(2, count, *amplitudes.shape, device=device) * amplitudes
    noise = torch.fft.irfft2(torch.complex(waves[0], waves[1]), s=(height, width)).flatten(1)
    # Above the threshold there are as many pixels as the share says; below all, the mask is full.
    thresholds = F.pad(noise.sort(1).values, (1, 0), value=-math.inf)
    outside = height * width - (shares * height * width).round().long()
    mask: Tensor = noise > thresholds.gather(1, outside.view(-1, 1))
    return mask.view(count, 1, height, width)


def sample_beta(strength: float, count: int, device: torch.device) -> Tensor:
    """Draw one value per image from Beta(strength, strength)."""
    # Where MPS draws from this distribution at all, it is since torch 2.12.
    where = device if device.type in ("cpu", "cuda") else "cpu"
    shape = torch.full((2, count), strength, device=where)
    gamma = torch._standard_gamma(shape).to(device).clamp_min(1e-12)
    return gamma[0] / gamma.sum(0)


def _to_bytes(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)

"""How many images are evaluated at once: as many pixels as suit the device, whatever their size."""

from __future__ import annotations

import torch

# 256 images of 28×28: more at once are no faster on a CPU, and commands wait for a view of them.
CPU_PIXELS = 256 * 28 * 28
LEAST_GPU_PIXELS = 1000 * 28 * 28
# Above this a GPU gains nothing more.
MOST_PIXELS = 8 * LEAST_GPU_PIXELS
# What a pixel may take of a GPU's memory: the activations of some hundred channels of a few layers,
# in an eighth of it.
GPU_BYTES_PER_PIXEL = 8 * 2048


def count_images(side: int, gpu_memory: int | None = None) -> int:
    """The number of images of this height and width, on a CPU or a GPU with so much memory.

    It depends on all of a GPU's memory, not on what is free: the same run has the same batches."""
    pixels = CPU_PIXELS
    if gpu_memory is not None:
        pixels = min(max(LEAST_GPU_PIXELS, gpu_memory // GPU_BYTES_PER_PIXEL), MOST_PIXELS)
    return max(1, pixels // side**2)


def evaluation_batch_size(side: int, device: torch.device) -> int:
    """`count_images` for this device."""
    if device.type != "cuda":
        return count_images(side, 0 if device.type == "mps" else None)
    return count_images(side, torch.cuda.get_device_properties(device).total_memory)

"""How much memory of a device is free, and what fits into it."""

from __future__ import annotations

import torch

# A split may take this share of what is free: the network and its activations need the rest.
RESIDENT_SHARE = 0.6


def free_bytes(device: torch.device) -> int | None:
    """The free memory of a GPU, with what torch's allocator holds unused; None for a CPU."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None


def fits(size: int, free: int | None) -> bool:
    """Whether a split of so many bytes is kept on a device with so much free memory."""
    return free is None or size <= RESIDENT_SHARE * free

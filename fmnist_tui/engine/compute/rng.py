"""The four generators a run draws from: Python's, NumPy's, torch's, and CUDA's."""

from __future__ import annotations

import random
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch


def seed_all(number: int) -> None:
    """Start all of them from one number."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def get_state(device: torch.device) -> dict[str, Any]:
    """Their states, in tensors and plain values that torch loads without running code."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = cast(
        "tuple[str, npt.NDArray[np.uint32], int, int, float]", np.random.get_state()
    )
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def set_state(kept: dict[str, Any], device: torch.device) -> None:
    """Set them all to kept states. A state of another kind of device is left out."""
    version, words, gauss = kept["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = kept["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(kept["torch"])
    if device.type == "cuda" and kept["cuda"] is not None:
        torch.cuda.set_rng_state(kept["cuda"], device)

"""The random generators of a run: Python's, NumPy's, torch's and that of its GPU.

What an epoch draws once has a seed of its own (`epoch_seed`), so that it can be drawn again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

# What an epoch draws: the order of its images, which of them it mirrors, their augmentation. The
# numbers of epochs take 17 bits.
ORDER, FLIPS, AUGMENTATION = (purpose << 17 for purpose in range(3))


def epoch_seed(seed: int, epoch: int, purpose: int = ORDER) -> int:
    return (seed << 20) + purpose + epoch


@contextmanager
def drawn_from(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from generators with this seed in this block; the run's own go on after it as if
    nothing had been drawn."""
    state = get_state(device)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        set_state(state, device)


def seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def get_state(device: torch.device) -> dict[str, Any]:
    """All states, as tensors and plain values that torch loads without running code."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = cast(
        "tuple[str, npt.NDArray[np.uint32], int, int, float]", np.random.get_state()
    )
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "mps": torch.mps.get_rng_state() if device.type == "mps" else None,
    }


def set_state(state: dict[str, Any], device: torch.device) -> None:
    """Restore all states; the state of another kind of device is ignored."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    # Earlier versions did not keep it.
    if device.type == "mps" and state.get("mps") is not None:
        torch.mps.set_rng_state(state["mps"])

"""Whether an exported file says what its classifier says, and how quickly each does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ask = Callable[[npt.NDArray[np.float32]], object]

# One image in ten thousand may stand so near the edge between two classes that the last
# bit of a sum decides.
LEAST_SAME = 0.9999
BATCHES = (1, 64)
WARM, SECONDS, MOST = 3, 0.5, 200


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two classifiers agree on a split."""

    split: str
    count: int
    same_labels: int
    largest_difference: float

    @property
    def share(self) -> float:
        return self.same_labels / self.count

    @property
    def holds(self) -> bool:
        return self.share >= LEAST_SAME


def compared(split: str, ours: Floats, theirs: Floats) -> Parity:
    """Two tables of probabilities for the same images."""
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    return Parity(split, len(ours), same, float(np.abs(ours - theirs).max()))


def latency(ask: Ask, channels: int, size: int) -> dict[int, float]:
    """Median milliseconds of an answer, by the number of pictures asked about at once."""
    dice = np.random.default_rng(0)
    found = {}
    for batch in BATCHES:
        pixels = dice.integers(0, 256, (batch, channels, size, size)).astype(np.float32)
        for _ in range(WARM):
            ask(pixels)
        times: list[float] = []
        end = time.perf_counter() + SECONDS
        while len(times) < MOST and (not times or time.perf_counter() < end):
            began = time.perf_counter()
            ask(pixels)
            times.append(1000 * (time.perf_counter() - began))
        found[batch] = statistics.median(times)
    return found

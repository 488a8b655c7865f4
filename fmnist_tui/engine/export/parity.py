"""Whether an exported file gives the results of its classifier, and how fast each one is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Predict = Callable[[npt.NDArray[np.float32]], object]

# One image in ten thousand may be so close to the border between two classes that rounding
# decides.
MIN_SAME = 0.9999
BATCH_SIZES = (1, 64)
WARMUP_CALLS, MAX_SECONDS, MAX_CALLS = 3, 0.5, 200


@dataclass(frozen=True, slots=True)
class Parity:
    """The agreement of two classifiers on a split."""

    split: str
    count: int
    same_labels: int
    largest_difference: float

    @property
    def share(self) -> float:
        return self.same_labels / self.count

    @property
    def is_sufficient(self) -> bool:
        return self.share >= MIN_SAME


def compare(split: str, ours: Floats, theirs: Floats) -> Parity:
    """Compare two tables of probabilities for the same images."""
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    return Parity(split, len(ours), same, float(np.abs(ours - theirs).max()))


def measure_latency(predict: Predict, channels: int, size: int) -> dict[int, float]:
    """Median milliseconds of a call, by batch size."""
    random = np.random.default_rng(0)
    medians = {}
    for batch_size in BATCH_SIZES:
        pixels = random.integers(0, 256, (batch_size, channels, size, size)).astype(np.float32)
        for _ in range(WARMUP_CALLS):
            predict(pixels)
        times: list[float] = []
        end = time.perf_counter() + MAX_SECONDS
        while len(times) < MAX_CALLS and (not times or time.perf_counter() < end):
            started = time.perf_counter()
            predict(pixels)
            times.append(1000 * (time.perf_counter() - started))
        medians[batch_size] = statistics.median(times)
    return medians

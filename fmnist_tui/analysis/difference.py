"""Whether a difference between two accuracies is more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

import numpy as np

from fmnist_tui.analysis.predictions import Predictions

SIGNIFICANT = 0.05
_NORMAL = NormalDist().inv_cdf(1 - SIGNIFICANT / 2)
_STEPS = 4000


@dataclass(frozen=True, slots=True)
class Difference:
    """The second accuracy minus the first, as a fraction; `p` is how often chance alone makes one
    as large; `method` says in words how that is known."""

    value: float
    p: float
    method: str

    @property
    def is_significant(self) -> bool:
        return self.p < SIGNIFICANT


def compare_paired(first: Predictions, second: Predictions) -> Difference | None:
    """McNemar's exact test on the same images; None if they are not the same."""
    if not are_same_images(first, second):
        return None
    right = [each.logits.argmax(axis=1) == each.labels for each in (first, second)]
    losses = int(np.count_nonzero(right[0] & ~right[1]))
    gains = int(np.count_nonzero(right[1] & ~right[0]))
    count = len(first.labels)
    words = (
        f"McNemar's test on the same {count:,} images, of which each alone has right"
        f" {losses:,} and {gains:,}"
    )
    return Difference((gains - losses) / count, _sign_test(losses, gains), words)


def are_same_images(first: Predictions, second: Predictions) -> bool:
    """Whether two sets of predictions are of the same images, in the same order."""
    return (
        len(first.labels) == len(second.labels) > 0
        and first.classes == second.classes
        and bool(np.array_equal(first.indices, second.indices))
        and bool(first.are_of(second.labels, second.ids).all())
    )


def compare_binomial(
    first: float, first_count: int, second: float, second_count: int
) -> Difference:
    """Two accuracies on so many images each, as if the images were drawn independently."""
    pooled = (first * first_count + second * second_count) / (first_count + second_count)
    error = math.sqrt(pooled * (1 - pooled) * (1 / first_count + 1 / second_count))
    value = second - first
    p = 2 * (1 - NormalDist().cdf(abs(value) / error)) if error else float(value == 0)
    margin = 100 * _NORMAL * error
    return Difference(value, p, f"binomial error of the difference ±{margin:.2f} points (95 %)")


def compare_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The means of several seeds (Welch's t-test), or a mean and a single run.

    One of both has several values. A single run is compared with what another seed may give."""
    single = min(len(first), len(second)) == 1
    value = fmean(second) - fmean(first)
    if single:
        many = max(first, second, key=len)
        error = math.sqrt(variance(many) * (1 + 1 / len(many)))
        freedom: float = len(many) - 1
        words = f"a single run against the spread of {len(many)} seeds (t-test)"
    else:
        parts = [variance(values) / len(values) for values in (first, second)]
        error = math.sqrt(sum(parts))
        weights = [
            part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
        ]
        freedom = sum(parts) ** 2 / sum(weights) if sum(weights) else 1.0
        words = f"Welch's t-test of {len(first)} and {len(second)} seeds"
    p = _student_p(abs(value) / error, freedom) if error else float(value == 0)
    return Difference(value, p, words)


def _sign_test(losses: int, gains: int) -> float:
    """How often a fair coin is at least as uneven."""
    count = losses + gains
    term, total = 1, 0
    for number in range(min(losses, gains) + 1):
        total += term
        term = term * (count - number) // (number + 1)
    return min(1.0, 2 * total / (1 << count))


def _student_p(t: float, freedom: float) -> float:
    """The two-sided p of a t value: with t = √freedom · tan(angle) its density is a power of the
    cosine."""
    angles = np.linspace(0, math.pi / 2, _STEPS)
    density = np.cos(angles) ** (max(1.0, freedom) - 1)
    beyond = angles >= math.atan(t / math.sqrt(freedom))
    return float(density[beyond].sum() / density.sum())

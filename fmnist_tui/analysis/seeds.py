"""The mean of the curves of several seeds, with their standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Points of the mean of curves that do not have the same xs.
_POINTS = 200


@dataclass(frozen=True, slots=True)
class MeanCurve:
    """The mean of curves, and the mean minus and plus a standard deviation (n - 1)."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def mean_of_curves(curves: Sequence[Sequence[tuple[float, float]]]) -> MeanCurve:
    """The mean of two curves or more, over the xs that all of them reach."""
    arrays = [np.asarray(curve, float) for curve in curves]
    xs = arrays[0][:, 0]
    if any(len(each) != len(xs) or not np.array_equal(each[:, 0], xs) for each in arrays):
        start = max(each[0, 0] for each in arrays)
        end = max(start, min(each[-1, 0] for each in arrays))
        xs = np.linspace(start, end, _POINTS)
    values = np.array([np.interp(xs, each[:, 0], each[:, 1]) for each in arrays])
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
    return MeanCurve(*(tuple(map(float, part)) for part in (xs, mean, mean - sd, mean + sd)))

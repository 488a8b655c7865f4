"""Smoothed curves: a bright line for a band of raw values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fmnist_tui.render.line_chart import Line

# Shares of a curve's length over which a value is averaged.
LIGHT, STRONG, OFF = 0.01, 0.04, 0.0


def smooth_line(
    label: str, points: Sequence[tuple[float, float]], colour: str, share: float
) -> Line:
    """A smoothed line through the points, with the points themselves as its band."""
    points = [(x, y) for x, y in points if math.isfinite(y)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if not share or len(points) < 3:
        return Line(label, xs, ys, colour)
    return Line(label, xs, smooth(xs, ys, share), colour, low=ys, high=ys)


def smooth(xs: Sequence[float], ys: Sequence[float], share: float) -> list[float]:
    """Exponential averages from both sides, so that the curve does not lag behind its points."""
    reach = share * (xs[-1] - xs[0])
    forward = _average(zip(xs, ys, strict=True), reach)
    backward = _average(zip(reversed(xs), reversed(ys), strict=True), reach)
    return [(a + b) / 2 for a, b in zip(forward, reversed(backward), strict=True)]


def _average(points: Iterable[tuple[float, float]], reach: float) -> list[float]:
    averages: list[float] = []
    mean = before = 0.0
    for x, y in points:
        # A point that is farther away counts less.
        kept = math.exp(-abs(x - before) / reach) if averages and reach else 0.0
        mean = kept * mean + (1 - kept) * y
        before = x
        averages.append(mean)
    return averages

"""Draws a curve as blocks on one line: ▁▃▆▇█."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def draw_sparkline(
    values: Sequence[float], width: int, low: float | None = None, high: float | None = None
) -> str:
    """The values in at most `width` blocks, scaled from `low` to `high` or their own range.

    Of values that share a block the last is shown; a value that is not finite is blank.
    """
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    sampled = [values[(number + 1) * len(values) // count - 1] for number in range(count)]
    finite = [value for value in sampled if math.isfinite(value)]
    low = min(finite, default=0.0) if low is None else low
    high = max(finite, default=0.0) if high is None else high
    return "".join(_block(value, low, high) for value in sampled)


def _block(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return " "
    share = (value - low) / (high - low) if high > low else 0.5
    return BLOCKS[round(min(1.0, max(0.0, share)) * (len(BLOCKS) - 1))]

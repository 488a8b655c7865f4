"""A curve as a few blocks on one line: ▁▃▆▇█."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparks(
    values: Sequence[float], width: int, low: float | None = None, high: float | None = None
) -> str:
    """The values in at most `width` blocks, between the ends given or those they have.

    Of values that must share a block the last is shown; what is no number is a blank."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    shown = [values[(number + 1) * len(values) // count - 1] for number in range(count)]
    known = [value for value in shown if math.isfinite(value)]
    low = min(known, default=0.0) if low is None else low
    high = max(known, default=0.0) if high is None else high
    return "".join(_block(value, low, high) for value in shown)


def _block(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return " "
    share = (value - low) / (high - low) if high > low else 0.5
    return BLOCKS[round(min(1.0, max(0.0, share)) * (len(BLOCKS) - 1))]

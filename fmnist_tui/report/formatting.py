"""Figures as the page writes them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

NONE = "–"


def percent(share: float | None, digits: int = 2) -> str:
    """A fraction as people read it."""
    if share is None or not math.isfinite(share):
        return NONE
    return f"{share * 100:.{digits}f} %"


def number(value: float | None, digits: int = 4) -> str:
    """A figure with few digits, or in powers of ten where these would say nothing."""
    if value is None or not math.isfinite(value):
        return NONE if value is None else str(value)
    if value and abs(value) < 10**-digits * 10:
        return f"{value:.2e}"
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def duration(seconds: float | None) -> str:
    """Seconds as 42 s, 1 min 05 s or 2 h 03 min."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return NONE
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def when(t: float) -> str:
    """A moment, in seconds since 1970, as a date with its time."""
    try:
        return f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return NONE


def size(count: int) -> str:
    """Bytes as a person counts them."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"

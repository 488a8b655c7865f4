"""Numbers as text: percentages, durations, times, sizes, counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime

NO_VALUE = "–"
MEGABYTE = 1 << 20


def format_percent(share: float | None, digits: int = 2) -> str:
    """A fraction in per cent."""
    if share is None or not math.isfinite(share):
        return NO_VALUE
    return f"{share * 100:.{digits}f} %"


def format_percent_range(low: float, high: float) -> str:
    """Two fractions as `91.33 – 92.40 %`."""
    return f"{low * 100:.2f} – {high * 100:.2f} %"


def format_percent_margin(share: float, low: float, high: float) -> str:
    """A fraction and half the width of its interval as `91.87 ±0.54 %`."""
    return f"{share * 100:.2f} ±{(high - low) * 50:.2f} %"


def format_number(value: float | None, digits: int = 4) -> str:
    """A number with at most `digits` decimals; a small one in scientific notation."""
    if value is None or not math.isfinite(value):
        return NO_VALUE if value is None else str(value)
    if value and abs(value) < 10**-digits * 10:
        return f"{value:.2e}"
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def format_count(count: int, singular: str, plural: str = "") -> str:
    """`1 image`, `1,200 images`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def format_duration(seconds: float | None, units: bool = False) -> str:
    """Seconds as 0:42 or 1:02:03; with `units` as 42.0 s, 1 min 05 s or 2 h 03 min."""
    if seconds is None or not math.isfinite(seconds):
        return NO_VALUE
    seconds = max(0.0, seconds)
    if units and seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if units:
        return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_short_duration(seconds: float | None) -> str:
    """Seconds with two digits, as 3.9 s, 31 s, 5.5 min or 2.0 h."""
    if seconds is None or not math.isfinite(seconds):
        return NO_VALUE
    amount, unit = max(0.0, seconds), "s"
    for size, larger in ((60, "min"), (60, "h")):
        if amount >= size - 0.5:
            amount, unit = amount / size, larger
    return f"{amount:,.{1 if amount < 9.95 else 0}f} {unit}"


def format_time(timestamp: float, utc: bool = False) -> str:
    """A time in seconds since 1970 as 2026-02-28 17:30, local or in UTC."""
    return _format_moment(timestamp, "%Y-%m-%d %H:%M" + " UTC" * utc, utc)


def format_clock(timestamp: float) -> str:
    """A time in seconds since 1970 as the local time of day, 17:30:05."""
    return _format_moment(timestamp, "%H:%M:%S")


def _format_moment(timestamp: float, pattern: str, utc: bool = False) -> str:
    try:
        return f"{datetime.fromtimestamp(timestamp, UTC if utc else None):{pattern}}"
    except (ValueError, OverflowError, OSError):
        return NO_VALUE


def format_short_time(timestamp: float, now: float) -> str:
    """A time in at most eleven characters: 02-28 17:30 in the year of `now`, else 2025-02-28."""
    text = format_time(timestamp)
    return text[5:] if text[:5] == format_time(now)[:5] else text[:10]


def format_size(count: int, digits: int | None = None) -> str:
    """Bytes as 12 kB or 3.4 MB; `digits` sets how many follow the decimal point."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    if digits is None:
        digits = 0 if amount >= 10 or unit == "bytes" else 1
    return f"{amount:.{digits}f} {unit}"

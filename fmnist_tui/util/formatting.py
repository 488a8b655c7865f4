"""Figures as people read them: shares, times, sizes."""

from __future__ import annotations

from datetime import datetime

NONE = "–"


def percent(share: float | None, digits: int = 2) -> str:
    """A fraction in per cent."""
    return NONE if share is None else f"{share * 100:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """Seconds as 0:42 or 1:02:03."""
    if seconds is None:
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def when(moment: float, now: float) -> str:
    """A moment in at most eleven characters: with the hour, or with the year if it is not now's."""
    try:
        then, today = datetime.fromtimestamp(moment), datetime.fromtimestamp(now)
    except (ValueError, OverflowError, OSError):
        return NONE
    return f"{then:%m-%d %H:%M}" if then.year == today.year else f"{then:%Y-%m-%d}"


def size(count: int) -> str:
    """So many bytes as 12 kB or 3.4 MB."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "bytes" else f"{amount:.1f} {unit}"

"""Progress callbacks: called with the amount done, the total, and the current activity."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[float, float, str], None]


def ignore_progress(done: float, total: float, activity: str) -> None:
    """The default callback."""

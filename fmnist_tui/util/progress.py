"""How something long says how far it is: a function of what is done, of how much, and what now."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[float, float, str], None]


def ignore_progress(done: float, total: float, what: str) -> None:
    """For whoever does not want to know."""

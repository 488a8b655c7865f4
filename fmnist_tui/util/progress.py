"""Progress callbacks: called with the amount done, the total, and a message."""

from __future__ import annotations

from collections.abc import Callable

# Set to "json" by a program that starts a command and draws its progress itself.
FORMAT_VARIABLE = "FMNIST_TUI_STEPS"

OnProgress = Callable[[float, float, str], None]


def ignore_progress(done: float, total: float, message: str) -> None:
    """The default callback."""

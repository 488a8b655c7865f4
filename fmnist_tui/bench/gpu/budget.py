"""The time that a benchmark may take: what no longer fits in is left out, and said."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fmnist_tui.util.errors import UserError, format_unexpected_error

Result = TypeVar("Result")


def first_line(error: Exception) -> str:
    """What has happened, in one line."""
    text = str(error) if isinstance(error, UserError) else format_unexpected_error(error)
    return text.strip().partition("\n")[0]


class Budget:
    """`left_out` tells what was not measured, and why."""

    def __init__(self, seconds: float, say: Callable[[str], None]) -> None:
        self._end, self._say = time.monotonic() + seconds, say
        self.left_out: list[str] = []

    def allows(self, what: str, seconds: float) -> bool:
        """Whether there is time for something that takes about so many seconds."""
        left = self._end - time.monotonic()
        if seconds <= left:
            return True
        self.leave_out(f"{what}: takes about {seconds:.0f} s, {max(0.0, left):.0f} s are left")
        return False

    def attempt(self, what: str, act: Callable[[], Result]) -> Result | None:
        """What `act` returns; None if it fails, and then this is left out with the reason."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - the rest is still worth measuring
            self.leave_out(f"{what}: {first_line(error)}")
            return None

    def leave_out(self, what: str) -> None:
        self.left_out.append(what)
        self._say(f"left out: {what}")

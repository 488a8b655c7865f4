"""A phase of a run that may take long. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable

from fmnist_tui.protocol.events import Changed, Event
from fmnist_tui.util.formatting import format_percent

SHARE_SECONDS = 1.0


class Phase:
    """Reports that a phase begins, and once a second how much of it is done."""

    def __init__(self, emit: Callable[[Event], None], step: int, name: str) -> None:
        self._emit, self._step, self._name = emit, step, name
        self._report(name)

    def on_progress(self, done: float, total: float, _: str) -> None:
        """The `OnProgress` of the work."""
        if time.perf_counter() - self._time >= SHARE_SECONDS:
            self._report(f"{self._name}, {format_percent(done / total, 0)}")

    def _report(self, value: str) -> None:
        self._time = time.perf_counter()
        self._emit(Changed(time.time(), self._step, "phase", value))

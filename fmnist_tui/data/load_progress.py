"""Progress of loading a dataset, source by source, and cancelling it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import MEGABYTE

State = Literal["trying", "progress", "failed", "ok"]
Unit = Literal["bytes", "%", "images"]

_PROGRESS_INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class LoadStep:
    """The state of one source at time `t`: `done` of `total` (None if unknown) `unit`s are
    there."""

    dataset: str
    source: str
    state: State
    message: str = ""
    done: int = 0
    total: int | None = None
    unit: Unit = "bytes"
    t: float = field(default_factory=time.time, compare=False)

    @property
    def display_scale(self) -> tuple[int, str]:
        """What `done` and `total` are divided by to be shown, and the unit of the result."""
        return (MEGABYTE, "MB") if self.unit == "bytes" else (1, self.unit)


OnStep = Callable[[LoadStep], None]


class CancelError(UserError):
    """Loading was cancelled."""

    def __init__(self) -> None:
        super().__init__("cancelled before the dataset was loaded; partial downloads are kept")


def check_cancel(cancel: threading.Event | None) -> None:
    """Raise CancelError if `cancel` is set."""
    if cancel is not None and cancel.is_set():
        raise CancelError


class LoadReporter:
    """Reports the steps of one dataset; repeated progress at most ten times a second."""

    def __init__(self, dataset: str, on_step: OnStep | None) -> None:
        self._dataset, self._on_step = dataset, on_step or (lambda step: None)
        self._source = ""
        self._last_message, self._next_report = "", 0.0

    def trying(self, source: str, message: str = "") -> None:
        self._source = source
        self._on_step(LoadStep(self._dataset, source, "trying", message))

    def failed(self, message: str) -> None:
        self._on_step(LoadStep(self._dataset, self._source, "failed", message))

    def ok(self, message: str) -> None:
        self._on_step(LoadStep(self._dataset, self._source, "ok", message))

    def progress(
        self, message: str, done: int = 0, total: int | None = None, unit: Unit = "bytes"
    ) -> None:
        now = time.monotonic()
        if now >= self._next_report or done == total or message != self._last_message:
            self._last_message, self._next_report = message, now + _PROGRESS_INTERVAL
            step = LoadStep(self._dataset, self._source, "progress", message, done, total, unit)
            self._on_step(step)

"""What is told while a data set is being got: which place is tried and how that goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fmnist_tui.util.errors import UserError

State = Literal["trying", "progress", "failed", "ok"]
Unit = Literal["bytes", "%", "pictures"]

_TELL_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class LoadStep:
    """A place tried. `done` of `total` (None where unknown) counts `unit`s of progress."""

    dataset: str
    source: str
    state: State
    message: str = ""
    done: int = 0
    total: int | None = None
    unit: Unit = "bytes"


Say = Callable[[LoadStep], None]


class CancelError(UserError):
    """Loading was cancelled."""

    def __init__(self) -> None:
        super().__init__("cancelled before the dataset was loaded; what has arrived is kept")


def check_cancel(cancel: threading.Event | None) -> None:
    """Raise CancelError if `cancel` is set."""
    if cancel is not None and cancel.is_set():
        raise CancelError


class LoadReporter:
    """Tells the steps of one data set; progress with the same thing at most ten times a second."""

    def __init__(self, dataset: str, say: Say | None) -> None:
        self._dataset, self._say = dataset, say
        self._source = ""
        self._doing, self._quiet_until = "", 0.0

    def trying(self, source: str, message: str = "") -> None:
        self._source = source
        self._tell("trying", message)

    def failed(self, message: str) -> None:
        self._tell("failed", message)

    def ok(self, message: str) -> None:
        self._tell("ok", message)

    def progress(
        self, message: str, done: int = 0, total: int | None = None, unit: Unit = "bytes"
    ) -> None:
        now = time.monotonic()
        if now >= self._quiet_until or done == total or message != self._doing:
            self._doing, self._quiet_until = message, now + _TELL_EVERY
            self._tell("progress", message, done, total, unit)

    def _tell(
        self,
        state: State,
        message: str,
        done: int = 0,
        total: int | None = None,
        unit: Unit = "bytes",
    ) -> None:
        if self._say is not None:
            self._say(LoadStep(self._dataset, self._source, state, message, done, total, unit))

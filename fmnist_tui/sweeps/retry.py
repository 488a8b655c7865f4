"""Retries of storage calls: a disk may be full or a database server restarting for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fmnist_tui.util.errors import UserError

# How long a call is retried, in general and while the program is stopping, and how often.
TIMEOUT_SECONDS, STOPPING_TIMEOUT_SECONDS = 30.0, 4.0
RETRY_SECONDS = 1.0
WARN_AGAIN_SECONDS = 600.0

Result = TypeVar("Result")


class StorageRetry:
    """Calls a storage; `warn` receives each error once, and again if it lasts.

    Only UserErrors are retried. `is_stopping` tells whether the program is about to end."""

    def __init__(
        self, warn: Callable[[str], None], is_stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._warn, self._is_stopping = warn, is_stopping
        self._warned_at: dict[str, float] = {}

    def retry(self, call: Callable[[], Result]) -> Result:
        """The call's result; raises its last UserError when the time is up."""
        started = time.monotonic()
        while True:
            try:
                return call()
            except UserError as error:
                self._report(str(error))
                timeout = STOPPING_TIMEOUT_SECONDS if self._is_stopping() else TIMEOUT_SECONDS
                if time.monotonic() - started >= timeout:
                    raise
                time.sleep(RETRY_SECONDS)

    def attempt(self, call: Callable[[], Result]) -> Result | None:
        """The call's result, None if it fails now."""
        try:
            return call()
        except UserError as error:
            self._report(str(error))
            return None

    def _report(self, message: str) -> None:
        # A call that succeeds in between ends no outage: a full disk can still be read.
        now = time.monotonic()
        if now - self._warned_at.get(message, -WARN_AGAIN_SECONDS) >= WARN_AGAIN_SECONDS:
            self._warned_at[message] = now
            self._warn(message)

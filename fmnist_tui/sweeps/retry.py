"""Asking a storage that may be away for a while: a full disk, a server that starts anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fmnist_tui.util.errors import UserError

# So long is a storage given to recover, less where the program is to end; and so often is it
# asked meanwhile.
SECONDS, HURRIED_SECONDS = 30.0, 4.0
AGAIN_SECONDS = 1.0
SAY_AGAIN_SECONDS = 600.0

Found = TypeVar("Found")


class StorageRetry:
    """`warn` is told of an outage once, and again if it lasts; `hurried` says whether the
    program is to end. A TakenError goes through."""

    def __init__(
        self, warn: Callable[[str], None], hurried: Callable[[], bool] = lambda: False
    ) -> None:
        self._warn, self._hurried = warn, hurried
        self._said: dict[str, float] = {}

    def patiently(self, ask: Callable[[], Found]) -> Found:
        """The answer, asked for again and again if need be; a UserError where none comes."""
        began = time.monotonic()
        while True:
            try:
                return ask()
            except UserError as error:
                self._note(str(error))
                seconds = HURRIED_SECONDS if self._hurried() else SECONDS
                if time.monotonic() - began >= seconds:
                    raise
                time.sleep(AGAIN_SECONDS)

    def once(self, ask: Callable[[], Found]) -> Found | None:
        """The answer; None where there is none now."""
        try:
            return ask()
        except UserError as error:
            self._note(str(error))
            return None

    def _note(self, trouble: str) -> None:
        # Not by what succeeds in between: a full disk can still be read.
        now = time.monotonic()
        if now - self._said.get(trouble, -SAY_AGAIN_SECONDS) >= SAY_AGAIN_SECONDS:
            self._said[trouble] = now
            self._warn(trouble)

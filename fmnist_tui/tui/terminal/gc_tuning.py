"""Garbage collection that does not hold up the screen.

torch creates hundreds of thousands of objects that live as long as the process. A full
collection visits all of them, which takes a tenth of a second or more, and no key is answered
meanwhile. So objects that have survived a slow collection are frozen: never visited again.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator

SLOW_SECONDS = 0.02


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Inside this context nothing is collected, and what it leaves is frozen: for imports, of
    which everything stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def short_collections(slow: float = SLOW_SECONDS) -> Iterator[None]:
    """Inside this context, objects that survive a slow full collection are frozen."""
    started = 0.0

    def on_collection(phase: str, about: dict[str, int]) -> None:
        nonlocal started
        if about["generation"] < 2:
            return
        if phase == "start":
            started = time.perf_counter()
        elif time.perf_counter() - started >= slow:
            gc.freeze()

    gc.callbacks.append(on_collection)
    try:
        yield
    finally:
        gc.callbacks.remove(on_collection)
        # Extension modules warn about objects that are still frozen at exit.
        gc.unfreeze()

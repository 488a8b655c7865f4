"""Garbage collection that does not hold up the screen.

torch brings hundreds of thousands of objects that live as long as the
process. A full collection looks through all of them, a tenth of a second or more each
time, with no key answered meanwhile. So what has survived a collection that took long is
not looked at again.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator

LONG_SECONDS = 0.02


@contextlib.contextmanager
def brief_collections(long: float = LONG_SECONDS) -> Iterator[None]:
    """Within this, what survives a long full collection is left out of those to come."""
    began = 0.0

    def looked(phase: str, about: dict[str, int]) -> None:
        nonlocal began
        if about["generation"] < 2:
            return
        if phase == "start":
            began = time.perf_counter()
        elif time.perf_counter() - began >= long:
            gc.freeze()

    gc.callbacks.append(looked)
    try:
        yield
    finally:
        gc.callbacks.remove(looked)
        # What is frozen to the end is never freed, and extension modules complain of that.
        gc.unfreeze()

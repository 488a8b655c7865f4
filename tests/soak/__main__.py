"""`make soak`: every concern in full, or those whose names begin with a word; prints a table."""

# ruff: noqa: T201

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.support import FORK_SERVER
from tests.soak.concern import Concern, Tally, load_concerns


def main(words: list[str]) -> int:
    concerns = [
        concern
        for concern in load_concerns()
        if not words or any(concern.name.startswith(word) for word in words)
    ]
    if not concerns:
        names = ", ".join(concern.name for concern in load_concerns())
        print(f"soak: no concern begins with {' or '.join(words)}; there are {names}")
        return 2
    print(f"{'concern':<28} {'tried':>6} {'survived':>8} {'lost':>5} {'seconds':>8}", flush=True)
    lost = 0
    try:
        for concern in concerns:
            lost += run(concern)
    finally:
        FORK_SERVER.close()
    return 1 if lost else 0


def run(concern: Concern) -> int:
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        tally = Tally(Path(folder))
        concern.run(tally, concern.full)
    print(
        f"{concern.name:<28} {tally.tried:>6} {tally.survived:>8} {len(tally.lost):>5} "
        f"{time.monotonic() - start:>8.0f}",
        flush=True,
    )
    for why in tally.skipped:
        print(f"    not tried: {why}", flush=True)
    for what in tally.lost:
        print(f"    {what}", flush=True)
    return len(tally.lost)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

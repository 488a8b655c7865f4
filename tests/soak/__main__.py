"""`make soak`: every concern in full, or those whose names begin with a word; prints a table.

Most trials wait for processes, so that several concerns are tried at once, each in a process."""

# ruff: noqa: T201

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.e2e.support import FORK_SERVER
from tests.soak.concern import Concern, Tally, load_concerns

AT_ONCE = 3
# The first word of a process that tries one concern
ALONE = "--alone"


def main(words: list[str]) -> int:
    if words[:1] == [ALONE]:
        return try_alone(words[1])
    names = [concern.name for concern in load_concerns()]
    chosen = [name for name in names if not words or any(map(name.startswith, words))]
    if not chosen:
        print(f"soak: no concern begins with {' or '.join(words)}; there are {', '.join(names)}")
        return 2
    print(f"{'concern':<28} {'tried':>6} {'survived':>8} {'lost':>5} {'seconds':>8}", flush=True)
    statuses = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in as_completed([pool.submit(start, name) for name in chosen]):
            print(done.result().stdout, end="", flush=True)
            statuses.append(done.result().returncode)
    return int(any(statuses))


def start(name: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.soak", ALONE, name]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)


def try_alone(name: str) -> int:
    (concern,) = (concern for concern in load_concerns() if concern.name == name)
    # Under nohup SIGHUP is ignored, and would be in the programs that are tried. A handler, unlike
    # that, ends where a program is started.
    signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        return 1 if run(concern) else 0
    finally:
        FORK_SERVER.close()


def run(concern: Concern) -> int:
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        tally = Tally(Path(folder))
        concern.run(tally, concern.full)
    seconds = time.monotonic() - begin
    print(
        f"{concern.name:<28} {tally.tried:>6} {tally.survived:>8} {len(tally.lost):>5} "
        f"{seconds:>8.0f}"
    )
    for why in tally.skipped:
        print(f"    not tried: {why}")
    for what in tally.lost:
        print(f"    {what}")
    return len(tally.lost)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

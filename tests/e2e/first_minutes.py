"""The way of a first user, timed: from the command to the images of the worst confusion.

`python -m tests.e2e.first_minutes` goes it with the real images, in new folders; with `--data DIR`
they are there already, else they are fetched, as on a first start. It fails above a minute, or if
the model is not above 90 %. `--lines` prints the last screen too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.terminal import Terminal, dashboard_env

WORST = r"true (.+) → predicted (.+?): (\d+) of"
LIMIT_SECONDS, LEAST_ACCURACY = 60.0, 0.9
# Keys, what they lead to, and the text that shows that it is there.
STAGES = (
    ("", "the welcome", "Welcome"),
    ("", "the images are here", "Fashion-MNIST is here"),
    ("space", "the first steps", r"step [\d,]+/[\d,]+"),
    ("", "trained and tested", r"✓ \S+ \w+ +finished"),
    ("3", "the confusion matrix", WORST),
    ("enter", "the images of the worst confusion", r"#\d+ of test +1 of \d+"),
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way: the keys that led there, and the seconds since the start."""

    keys: str
    what: str
    seconds: float


def walk(terminal: Terminal, patience: float) -> Iterator[Stage]:
    """Go the way; each stage may take `patience` seconds."""
    started = time.monotonic()
    for keys, what, pattern in STAGES:
        if keys:
            terminal.press(keys)
        terminal.until(pattern, patience)
        yield Stage(keys, what, time.monotonic() - started)


def read_test_accuracy(runs: Path) -> float:
    """The accuracy of the only run on the test split."""
    [events] = runs.glob("*/events.jsonl")
    recorded = map(json.loads, events.read_text().splitlines())
    tests = [event for event in recorded if event["is"] == "Evaluated" and event["split"] == "test"]
    return float(tests[-1]["accuracy"])


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a folder with the datasets [a new one: they are fetched]")
    parser.add_argument("--lines", action="store_true", help="print the last screen too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-way-") as name:
        env = dashboard_env(Path(name))
        if args.data:
            env["FMNIST_TUI_DATA"] = args.data
        else:
            del env["FMNIST_TUI_OFFLINE"]
        load = os.getloadavg()[0]
        before = 0.0
        with Terminal(env=env, cold=True) as terminal:
            for stage in walk(terminal, 600):
                took = stage.seconds - before
                before = stage.seconds
                show(f"{stage.seconds:6.1f} s  +{took:5.1f}  {stage.keys:<6} {stage.what}")
            accuracy = read_test_accuracy(Path(env["FMNIST_TUI_RUNS"]))
            if args.lines:
                show(terminal.text())
            terminal.press("q")
            terminal.wait_for_exit()
    show(f"test accuracy {accuracy:.2%}, {os.cpu_count()} CPUs, load before {load:.1f}")
    return int(before > LIMIT_SECONDS or accuracy <= LEAST_ACCURACY)


if __name__ == "__main__":
    sys.exit(main())

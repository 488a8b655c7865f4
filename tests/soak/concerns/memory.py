"""Memory of long sessions: flat over many trainings, trials of a sweep, and runs of a dashboard.

With Fashion-MNIST where it is on this machine, or else with sketches.
"""

# ruff: noqa: T201

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from fmnist_tui.data.load import is_present
from fmnist_tui.util import paths
from tests.e2e.support import LIMIT, wait_for
from tests.e2e.terminal import Terminal, dashboard_env
from tests.soak.concern import Concern, Tally
from tests.soak.memory_rows import resident_mb

RUNS = {"trainings": 20, "sweep": 30, "dashboard": 20}
IMAGES = 3_000
# What the last quarter of the runs may add to the one before: earlier ones fill caches and heaps.
MARGIN = 0.02


def run(tally: Tally, tries: int) -> None:
    data = paths.data_dir()
    dataset = "fashion" if is_present("fashion", data) else "sketches"
    for kind in list(RUNS)[:tries]:
        count, folder = RUNS[kind], tally.folder / kind
        with tally.trial(f"{kind}, {count}"):
            if kind == "dashboard":
                sizes = in_dashboard(folder, data, count, dataset)
            else:
                sizes = in_session(kind, str(count), str(folder), str(data), dataset, str(IMAGES))
            print(f"    {kind} on {dataset}, MB: {' '.join(f'{size:.0f}' for size in sizes)}")
            check_flat(sizes)


def in_session(*words: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.memory_rows", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row["alive"].get("Learner", 0) == 0 for row in rows), rows[-1]
    first, last = rows[len(rows) // 2]["alive"], rows[-1]["alive"]
    assert first == last, f"{first} became {last}"
    return [row["rss"] for row in rows]


def in_dashboard(folder: Path, data: Path, count: int, dataset: str) -> list[float]:
    """Start run after run with the space bar."""
    settings = {"DATASET": dataset, "LIMIT": str(IMAGES), "MODEL": "two-conv", "EPOCHS": "1"}
    settings["THREADS"] = "2"  # the memory of buffers depends on their number
    env = {
        **dashboard_env(folder),
        **{f"FMNIST_TUI_{name}": value for name, value in settings.items()},
        "FMNIST_TUI_DATA": str(data),
    }
    sizes = []
    with Terminal(env=env, cold=True) as terminal:
        terminal.until("2 Train")
        terminal.press("2")
        terminal.until("Next run")
        for number in range(1, count + 1):
            wait_for(partial(start, terminal, folder / "runs", number))
            wait_for(partial(has_ended, folder / "runs", number))
            terminal.until("space Start")
            sizes.append(resident_mb(terminal.pid))
        terminal.press("q")
        assert terminal.wait_for_exit(LIMIT) == 0
    return sizes


def start(terminal: Terminal, runs: Path, number: int) -> bool:
    """Press the space bar if a run can be started; whether so many have begun. The run before may
    still be being closed, and another is refused then."""
    if "space Start" in terminal.text():
        terminal.press("space", pause=1.0)
    return len(list(runs.glob("*/events.jsonl"))) == number


def has_ended(runs: Path, number: int) -> bool:
    """Whether so many runs have ended."""
    records = [file.read_text() for file in runs.glob("*/events.jsonl")]
    return sum('"is":"RunEnded"' in record for record in records) == number


def check_flat(sizes: list[float]) -> None:
    later = sizes[len(sizes) // 2 :]
    half = len(later) // 2
    # The smallest: a buffer that is about to be given back may be counted now and then.
    before, after = min(later[:half]), min(later[half:])
    assert after <= (1 + MARGIN) * before, f"{before:.0f} MB became {after:.0f} MB"


CONCERN = Concern("memory of long sessions", run, short=0, full=len(RUNS))

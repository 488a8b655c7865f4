"""Many runs in one process: prints a line of JSON with its memory after each.

`python -m tests.soak.memory_rows trainings|sweep COUNT RUNS DATA DATASET LIMIT`. Like the dashboard
it freezes what collections find alive, and holds a run's feed until the next begins.
"""

# ruff: noqa: T201

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.tui.terminal.gc_tuning import no_collections, short_collections

with no_collections():
    from torch import nn

    from fmnist_tui.engine.run.training_handle import Training
    from fmnist_tui.engine.session import run_training  # noqa: F401 - as the first run does
    from fmnist_tui.engine.session.session import Session
    from fmnist_tui.engine.sweep.sweep_runner import SweepRunner
    from fmnist_tui.engine.training.learner import Learner
    from fmnist_tui.runs.folder import RunFolder
    from fmnist_tui.tui.state.run_feed import RunFeed
    from tests.unit.sweeps.support import join_study, journal_in, make_spec

# From this run on Python's own memory is traced, too: before it, caches fill.
TRACED_FROM = 4
COUNTED = (nn.Module, Learner, Training)
SPEC = """
[run]
dataset = "{dataset}"
model = "two-conv"
epochs = 1
batch_size = 256
limit = {limit}
device = "cpu"
threads = 2
[sweep]
trials = {count}
pruner = "none"
[space.lr]
low = 1e-4
high = 1e-2
log = true
"""


def resident_mb(pid: int | str = "self") -> float:
    """The resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


class Rows:
    """Prints what there is after each run."""

    def __init__(self) -> None:
        self._number = 0
        self._began = time.monotonic()

    def add(self) -> None:
        gc.collect()
        gc.unfreeze()  # after the collection, which freezes
        alive = Counter(
            kind.__name__ for it in gc.get_objects() for kind in COUNTED if isinstance(it, kind)
        )
        gc.freeze()
        self._number += 1
        if self._number == TRACED_FROM:
            tracemalloc.start()
        traced = tracemalloc.get_traced_memory()[0] / 2**20
        seconds = time.monotonic() - self._began
        row = {"rss": resident_mb(), "traced": traced, "seconds": seconds, "alive": alive}
        print(json.dumps(row), flush=True)
        self._began = time.monotonic()


def train(session: Session, count: int, dataset: str, limit: int) -> None:
    rows = Rows()
    values = {"dataset": dataset, "model": "two-conv", "limit": limit, "batch_size": 256}
    values |= {"epochs": 1, "device": "cpu", "threads": 2}
    for seed in range(count):
        config = RunConfig.build({**values, "seed": seed})
        feed = RunFeed.of(session.train(config))
        training = feed.training
        assert training is not None
        while not training.wait(0.05):
            feed.drain()
        feed.drain()
        assert feed.state.end_reason == "finished", feed.state.message or training.error
        while session.training is not None:
            time.sleep(0.01)
        rows.add()


def sweep(session: Session, count: int, dataset: str, limit: int) -> None:
    rows = Rows()
    folder = RunFolder.create(session.runs_dir, "search", dataset)
    spec = make_spec(SPEC.format(dataset=dataset, limit=limit, count=count))
    ledger = join_study(journal_in(folder.path), spec)
    runner = SweepRunner(session, ledger, folder, on_message=lambda _: rows.add())
    outcome = runner.run()
    assert outcome.done == count, outcome


def main(kind: str, count: str, runs: str, data: str, dataset: str, limit: str) -> None:
    warnings.simplefilter("ignore")  # of modules that are looked at
    Path(runs).mkdir(parents=True, exist_ok=True)
    with short_collections(slow=0.0), Session(Path(runs), Path(data)) as session:
        work = {"trainings": train, "sweep": sweep}[kind]
        work(session, int(count), dataset, int(limit))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Small sweeps and studies for tests; their trials are not trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna

from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.sweeps.storage import StorageLocation, connect, parse_location
from fmnist_tui.sweeps.study import StudyLedger

SEARCH = """
about = "a search for tests"
[run]
dataset = "sketches"
model = "linear"
epochs = 3
[sweep]
trials = 6
startup = 2
[space.lr]
low = 1e-4
high = 1e-1
log = true
[space.optimizer]
choices = ["adamw", "sgd"]
[promote]
epochs = 8
"""


def make_spec(text: str = SEARCH, name: str = "search") -> SweepSpec:
    return specs.parse(text, f"{name}.toml", name)


def journal_in(folder: Path) -> StorageLocation:
    return parse_location(f"journal:{folder / 'studies.log'}", folder)


def join_study(location: StorageLocation, spec: SweepSpec | None = None) -> StudyLedger:
    return StudyLedger.join(location, connect(location), spec or make_spec())


def run_trial(ledger: StudyLedger, values: Sequence[float]) -> int:
    """Add a complete trial with these values by epoch; its number."""
    claimed = ledger.claim()
    for epoch, value in enumerate(values, 1):
        ledger.report(claimed, epoch, value)
    ledger.end(claimed, "complete", max(values))
    return claimed.number


def optuna_trials(
    location: StorageLocation, name: str = "search"
) -> list[optuna.trial.FrozenTrial]:
    """The trials of a study as Optuna itself reads them."""
    return optuna.load_study(study_name=name, storage=connect(location)).get_trials()

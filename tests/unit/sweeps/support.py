"""Sweeps and studies for tests: small specs, trials done by hand, none of them trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna

from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.sweeps.storage import StudyStorage, connect, place
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


def search(text: str = SEARCH, name: str = "search") -> SweepSpec:
    return specs.parse(text, f"{name}.toml", name)


def journal(folder: Path) -> StudyStorage:
    return place(f"journal:{folder / 'studies.log'}", folder)


def ledger(where: StudyStorage, spec: SweepSpec | None = None) -> StudyLedger:
    return StudyLedger.join(where, connect(where), spec or search())


def done(book: StudyLedger, values: Sequence[float]) -> int:
    """A trial that came to these values by epoch; its number."""
    begun = book.begin()
    for epoch, value in enumerate(values, 1):
        book.report(begun, epoch, value)
    book.complete(begun, max(values))
    return begun.number


def trials(where: StudyStorage, name: str = "search") -> list[optuna.trial.FrozenTrial]:
    """What Optuna itself reads of a study."""
    return optuna.load_study(study_name=name, storage=connect(where)).get_trials()

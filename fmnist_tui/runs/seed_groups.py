"""Groups of runs that differ in nothing but their seed, with mean and standard deviation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev

from fmnist_tui.protocol.events import FINISHED, TRAIN
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.runs.notes import NO_NOTES, RunNotes
from fmnist_tui.util.text_file import read_text

_SEED = re.compile(r"^seed = .*\n", re.MULTILINE)
# What decides which images are in the training and the validation split.
_SPLIT = re.compile(r"^(?:dataset|classes|limit|val_fraction|split_seed) = .*$", re.MULTILINE)
# Where the weights of a forked run come from.
_ORIGIN = re.compile(r"^forked_.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SettingsKeys:
    """Two runs with the same `without_seed` have the same settings but for the seed; two with
    the same `split` are validated on the same images. Empty where the config cannot be read."""

    without_seed: str = ""
    split: str = ""


def read_settings_keys(folder: RunFolder) -> SettingsKeys:
    """The keys of a run, from the text of its config, which its training wrote."""
    try:
        text = read_text(folder.config)
    except (OSError, ValueError):
        return SettingsKeys()
    settings, _, made_with = text.partition("[made_with]")
    settings = _SEED.sub("", settings, count=1)
    if "forked_" in made_with:
        settings += "".join(_ORIGIN.findall(made_with))
    digest = hashlib.blake2b(settings.encode(errors="replace"), digest_size=12).hexdigest()
    return SettingsKeys(digest, "\n".join(_SPLIT.findall(settings)))


@dataclass(frozen=True, slots=True)
class SeedScore:
    """Accuracies of `count` seeds; `sd` is the standard deviation of the sample (n - 1)."""

    mean: float
    sd: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> SeedScore | None:
        return cls(fmean(values), stdev(values), len(values)) if len(values) > 1 else None


@dataclass(frozen=True)
class SeedGroup:
    """Finished trainings of the same settings with several seeds, the newest first.

    Where a seed was trained more than once its newest run counts. The figures that a run has
    too (`best_val_accuracy`, `seconds` …) are means."""

    key: str
    members: tuple[RunSummary, ...]
    state = FINISHED
    kind = TRAIN
    is_live = False
    notes: RunNotes = NO_NOTES

    @cached_property
    def counted(self) -> tuple[RunSummary, ...]:
        """A run of each seed, by seed."""
        newest = {run.seed: run for run in reversed(self.members) if run.seed is not None}
        return tuple(newest[seed] for seed in sorted(newest))

    @cached_property
    def val(self) -> SeedScore | None:
        return SeedScore.of(_known(run.best_val_accuracy for run in self.counted))

    @cached_property
    def test(self) -> SeedScore | None:
        return SeedScore.of(_known(run.test_accuracy for run in self.counted))

    @property
    def newest(self) -> RunSummary:
        return self.members[0]

    @property
    def run(self) -> RunFolder:
        """The folder of the newest member."""
        return self.newest.run

    @property
    def title(self) -> str:
        """The name or recipe of its runs, if all have the same, or else the recipe."""
        titles = {run.title for run in self.members}
        return titles.pop() if len(titles) == 1 else self.newest.recipe

    @property
    def dataset(self) -> str:
        return self.newest.dataset

    @property
    def model(self) -> str:
        return self.newest.model

    @property
    def started(self) -> float:
        return self.newest.started

    @property
    def best_val_accuracy(self) -> float | None:
        return self.val.mean if self.val is not None else None

    @property
    def test_accuracy(self) -> float | None:
        return self.test.mean if self.test is not None else None

    @property
    def shown_seconds(self) -> float:
        return fmean(run.shown_seconds for run in self.counted)


def group_seeds(
    runs: Iterable[RunSummary], keys: Mapping[Path, SettingsKeys]
) -> dict[str, SeedGroup]:
    """The groups of two seeds or more among these runs, by key."""
    found: dict[str, list[RunSummary]] = {}
    for run in runs:
        key = keys[run.run.path].without_seed if run.run.path in keys else ""
        if key and run.state == FINISHED and run.kind == TRAIN and run.seed is not None:
            found.setdefault(key, []).append(run)
    return {
        key: SeedGroup(key, tuple(sorted(group, key=lambda run: -run.started)))
        for key, group in found.items()
        if len({run.seed for run in group}) > 1
    }


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]

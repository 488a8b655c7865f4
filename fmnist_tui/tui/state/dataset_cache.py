"""Data sets and predictions at hand: read once, in a thread, and kept while they are used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config import dataset_catalog
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load_progress import OnStep

KEPT = 3


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Which pictures: everything in a config that decides what a data set holds."""

    dataset: str
    val_fraction: float = dataset_catalog.DEFAULT_VALIDATION
    split_seed: int = 0
    classes: tuple[int, ...] | None = None
    limit: int | None = None
    input_size: int = 28
    colour: bool = False

    @classmethod
    def of(cls, config: RunConfig) -> DataSpec:
        return cls(**{name: getattr(config, name) for name in cls.__slots__})


class DatasetCache:
    """Data sets by their spec. Its methods may be called by any thread."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._kept: OrderedDict[DataSpec, Dataset] = OrderedDict()
        self._lock = threading.Lock()

    def at_hand(self, spec: DataSpec) -> Dataset | None:
        """The data set, if it is in memory."""
        with self._lock:
            dataset = self._kept.get(spec)
            if dataset is not None:
                self._kept.move_to_end(spec)
            return dataset

    def present(self, name: str) -> bool:
        """Whether the data set's files are there."""
        from fmnist_tui.data.load import is_present

        return is_present(name, self.data_dir)

    def load(
        self,
        spec: DataSpec,
        on_step: OnStep | None = None,
        cancel: threading.Event | None = None,
        fetch: bool = True,
    ) -> Dataset:
        """The data set, read (and fetched) if need be: call it in a thread.

        Raises UserError, one line, if it cannot be had."""
        found = self.at_hand(spec)
        if found is not None:
            return found
        from fmnist_tui.data.load import load_dataset_for

        dataset = load_dataset_for(spec, self.data_dir, on_step=on_step, cancel=cancel, fetch=fetch)
        self.keep(spec, dataset)
        return dataset

    def keep(self, spec: DataSpec, dataset: Dataset) -> None:
        """Have a data set at hand that somebody else has read."""
        with self._lock:
            self._kept[spec] = dataset
            self._kept.move_to_end(spec)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

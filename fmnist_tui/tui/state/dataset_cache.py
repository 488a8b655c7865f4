"""Datasets in memory: loaded once, in a thread, and kept while they are used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path

from fmnist_tui.config import dataset_catalog
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load_progress import OnStep

MAX_LOADED = 3


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Every setting of a config that decides what a dataset contains."""

    dataset: str
    val_fraction: float = dataset_catalog.DEFAULT_VALIDATION
    split_seed: int = 0
    classes: tuple[int, ...] | None = None
    limit: int | None = None
    input_size: int = 28
    colour: bool = False

    @classmethod
    def of(cls, config: RunConfig) -> DatasetSpec:
        return cls(**{name: getattr(config, name) for name in cls.__slots__})


class DatasetCache:
    """Datasets by their spec. Thread-safe."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._loaded: OrderedDict[DatasetSpec, Dataset] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, spec: DatasetSpec) -> Dataset | None:
        """The dataset, if it is in memory."""
        with self._lock:
            dataset = self._loaded.get(spec)
            if dataset is not None:
                self._loaded.move_to_end(spec)
            return dataset

    def is_present(self, name: str) -> bool:
        """Whether the dataset's files are on disk."""
        from fmnist_tui.data.load import is_present

        return is_present(name, self.data_dir)

    def load(
        self,
        spec: DatasetSpec,
        on_step: OnStep | None = None,
        cancel: threading.Event | None = None,
        fetch: bool = True,
        again: bool = False,
    ) -> Dataset:
        """The dataset, loaded (and downloaded) if necessary. Slow: call it in a thread.

        `again`: files that may have changed are read again.
        Raises UserError if it is not available."""
        loaded = self.get(spec)
        if loaded is not None and not (again and dataset_catalog.is_from_path(spec.dataset)):
            return loaded
        from fmnist_tui.data.load import load_dataset

        dataset = load_dataset(
            **asdict(spec), data_dir=self.data_dir, on_step=on_step, cancel=cancel, fetch=fetch
        )
        self.put(spec, dataset)
        return dataset

    def put(self, spec: DatasetSpec, dataset: Dataset) -> None:
        """Add a dataset that has been loaded elsewhere."""
        with self._lock:
            self._loaded[spec] = dataset
            self._loaded.move_to_end(spec)
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)

"""The datasets that were loaded last, shared by all that ask for them while their files stay.

Trials of a sweep, small jobs and screens get the same arrays, so that the next training starts at
once. They are not to be written to.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from fmnist_tui.data.dataset import Dataset

# One for trainings, and one with all their images, for evaluation.
_KEPT = 2


class LoadedDatasets:
    """Datasets by what was asked for, each with the stamp of its files. Thread-safe."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[Hashable, tuple[Hashable, Dataset]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, stamp: Hashable, load: Callable[[], Dataset]) -> Dataset:
        """The dataset, loaded if it is not kept or its files have another `stamp` than then."""
        with self._lock:
            stamp_then, dataset = self._loaded.get(key, (None, None))
            if dataset is not None and stamp_then == stamp:
                self._loaded.move_to_end(key)
                return dataset
            # Its memory may be needed.
            self._loaded.pop(key, None)
        dataset = load()
        with self._lock:
            self._loaded[key] = stamp, dataset
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
        return dataset

"""The splits of the newest run's dataset on its device: copied there once, used by every run.

Used by the session's thread only.
"""

from __future__ import annotations

import weakref

import torch

from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.engine.compute.loader import DeviceSplit


class Uploads:
    """Splits on devices. Those of the newest run are kept; others are found while in use."""

    def __init__(self) -> None:
        self._kept: list[DeviceSplit] = []
        self._in_use: weakref.WeakSet[DeviceSplit] = weakref.WeakSet()

    def keep_only(self, dataset: Dataset) -> None:
        """Drop the splits of other datasets: a run needs the memory. One for which there was no
        room is dropped as well: there may be now."""
        splits = (dataset.train, dataset.val, dataset.test)
        self._kept = [data for data in self._kept if data.is_resident and data.source() in splits]

    def release(self) -> None:
        """Drop all: memory is short."""
        self._kept = []

    def find(self, split: Split, device: torch.device) -> DeviceSplit | None:
        """The split on this device, if it is there."""
        for data in list(self._in_use):
            if data.source() is split and data.device == device:
                return data
        return None

    def get(self, split: Split, device: torch.device) -> DeviceSplit:
        """The split on this device, copied there unless it is there, and kept."""
        data = self.find(split, device)
        if data is None:
            data = DeviceSplit(split, device)
            self._in_use.add(data)
        if data not in self._kept:
            self._kept.append(data)
        return data


UPLOADS = Uploads()

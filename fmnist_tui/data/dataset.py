"""A dataset in memory: uint8 images with labels, in three splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import DatasetInfo

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One split: `images` is (count, height, width, channels) with 1 or 3 channels.

    `indices` are the images' positions in the file (or listing) they came from: train and
    val share the numbering of the training file.
    """

    name: str
    images: Images
    labels: Labels
    indices: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Three splits, info about them, and the source they came from.

    `notes` are for the user: files that were skipped, class folders without images.
    """

    info: DatasetInfo
    train: Split
    val: Split
    test: Split
    source: str
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> Split:
        return {"train": self.train, "val": self.val, "test": self.test}[name]

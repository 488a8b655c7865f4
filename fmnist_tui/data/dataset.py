"""A dataset in memory: uint8 images with labels, in three splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.data.fingerprint import Fingerprint, Ids

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Split:
    """One split: `images` is (count, height, width, channels) with 1 or 3 channels.

    `indices` are the images' positions in the file (or listing) they came from: train and
    val share the numbering of the training file. `ids` identify the images by their contents;
    None if those are settled by the dataset's name.
    """

    name: str
    images: Images
    labels: Labels
    indices: Labels
    ids: Ids | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Three splits, info about them, and the source they came from.

    `notes` are for the user: files that were skipped, class folders without images.
    `fingerprint` is compared with that of a checkpoint.
    """

    info: DatasetInfo
    train: Split
    val: Split
    test: Split
    source: str
    notes: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None

    def split(self, name: str) -> Split:
        return {"train": self.train, "val": self.val, "test": self.test}[name]

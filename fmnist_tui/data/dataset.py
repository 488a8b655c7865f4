"""A data set in memory: uint8 pictures with labels, in three splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import DatasetFacts

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Pictures of one split: `images` is (count, height, width, channels), channels 1 or 3.

    `indices` are the pictures' places in the file (or listing) they came from:
    train and val share the numbering of the training file.
    """

    name: str
    images: Images
    labels: Labels
    indices: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Three splits, the facts that hold for them, and where they came from.

    `notes` tells what a person should know about the reading: files skipped, images left out.
    """

    facts: DatasetFacts
    train: Split
    val: Split
    test: Split
    source: str
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> Split:
        return {"train": self.train, "val": self.val, "test": self.test}[name]

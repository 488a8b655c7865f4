"""A dataset as its loader delivers it, before splits are made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.data import splits
from fmnist_tui.data.dataset import Images, Labels
from fmnist_tui.data.fingerprint import Ids, SplitFingerprint
from fmnist_tui.data.load_progress import OnStep
from fmnist_tui.util.paths import expand_home


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to load, and where to keep and report it; every loader takes what it needs."""

    name: str
    data_dir: Path
    input_size: int = 28
    colour: bool = False
    sketch_seed: int = 0
    split_seed: int = 0
    on_step: OnStep | None = None
    cancel: threading.Event | None = None
    fetch: bool = True

    @property
    def path(self) -> Path:
        """The PATH of a name such as folder:PATH."""
        return expand_home(self.name.partition(":")[2])


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Labels of a selection of `images`, which stand at `positions` in that array.

    `indices` are the numbers that users know the images by. No image is copied until the
    splits are final. `ids` and `names` (in the class folder) are for images in files that may
    change: the one to recognise an image, the other to choose its split.
    """

    images: Images
    labels: Labels
    positions: Labels
    indices: Labels
    ids: Ids | None = None
    names: splits.Names | None = None

    @classmethod
    def from_arrays(cls, images: Images, labels: Labels, ids: Ids | None = None) -> LabelledImages:
        positions = np.arange(len(labels))
        return cls(images, labels, positions, positions, ids)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Labels) -> LabelledImages:
        return replace(
            self,
            labels=self.labels[rows],
            positions=self.positions[rows],
            indices=self.indices[rows],
            ids=None if self.ids is None else self.ids[rows],
            names=None if self.names is None else self.names[rows],
        )

    def split_off(
        self, share: float, seed: int, purpose: int
    ) -> tuple[LabelledImages, LabelledImages]:
        """The images that remain, and a share of every class."""
        if self.names is None:
            parts = splits.stratified_split(self.labels, share, seed, purpose)
        else:
            parts = splits.split_by_name(self.labels, self.names, share, seed, purpose)
        return self.select(parts[0]), self.select(parts[1])

    @property
    def fingerprint(self) -> SplitFingerprint:
        return SplitFingerprint.of(self.labels, self.indices, self.ids)


def select_images(images: Images, positions: Labels) -> Images:
    """The images at these positions: a copy, or the array itself if that is all of it."""
    if len(positions) == len(images) and np.array_equal(positions, np.arange(len(images))):
        return images
    return images[positions]


@dataclass(frozen=True, slots=True, eq=False)
class UnsplitDataset:
    """Training and test images; `val` is None if validation is to be split off train.

    `cut_by_name` says that test was split off train by the names of the files; `select` makes
    the array of a split from the images and its positions.
    """

    info: DatasetInfo
    train: LabelledImages
    test: LabelledImages
    source: str
    val: LabelledImages | None = None
    notes: tuple[str, ...] = ()
    cut_by_name: bool = False
    select: Callable[[Images, Labels], Images] = select_images

"""A data set as it was found, before anything is cut: what every kind of source delivers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmnist_tui.config.dataset_catalog import DatasetFacts
from fmnist_tui.data.dataset import Images, Labels
from fmnist_tui.data.load_progress import Say
from fmnist_tui.util.paths import expanded


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What a source may need to know: where files belong, and who wants to hear of it."""

    name: str
    data_dir: Path
    input_size: int = 28
    colour: bool = False
    sketch_seed: int = 0
    split_seed: int = 0
    say: Say | None = None
    cancel: threading.Event | None = None
    fetch: bool = True

    @property
    def path(self) -> Path:
        """The PATH of a name such as folder:PATH."""
        return expanded(self.name.partition(":")[2])


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Pictures to cut splits from: the `places` in `images` that belong to it, with labels.

    `indices` are the numbers the pictures go by. Nothing is copied before a split is made.
    """

    images: Images
    labels: Labels
    places: Labels
    indices: Labels

    @classmethod
    def of(cls, images: Images, labels: Labels) -> LabelledImages:
        everything = np.arange(len(labels))
        return cls(images, labels, everything, everything)

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, which: Labels) -> LabelledImages:
        """The pictures at these positions of the pool."""
        return replace(
            self,
            labels=self.labels[which],
            places=self.places[which],
            indices=self.indices[which],
        )


def in_memory(images: Images, places: Labels) -> Images:
    """The pictures at these places: a copy, or the very array if that is all of it."""
    if len(places) == len(images) and np.array_equal(places, np.arange(len(images))):
        return images
    return images[places]


@dataclass(frozen=True, slots=True, eq=False)
class UnsplitDataset:
    """A data set's pools; `val` is None where validation is to be cut from train.

    `take` makes the array of a split from a pool's images and places.
    """

    facts: DatasetFacts
    train: LabelledImages
    test: LabelledImages
    source: str
    val: LabelledImages | None = None
    notes: tuple[str, ...] = ()
    take: Callable[[Images, Labels], Images] = in_memory

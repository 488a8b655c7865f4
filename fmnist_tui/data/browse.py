"""Looking through a data set: which pictures under which filter, and what is to say of one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.data.dataset import Dataset, Images, Labels, Split
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

# A pixel below this is dark.
DARK = 32


class DatasetFilter:
    """A data set with a split and some of its classes chosen; no class means all of them.

    The pictures that remain are numbered from 0, in the order of the split.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.split: Split = dataset.train
        self.chosen: frozenset[int] = frozenset()
        self.counts: tuple[int, ...] = ()
        self._places: Labels = np.empty(0, np.int64)
        self.to_split("train")

    def __len__(self) -> int:
        return len(self._places)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.facts.classes

    def to_split(self, name: str) -> None:
        """Look at another split, through the same filter."""
        self.split = self.dataset.split(name)
        found = np.bincount(self.split.labels, minlength=len(self.classes))
        self.counts = tuple(int(count) for count in found)
        self.choose(self.chosen)

    def next_split(self) -> str:
        """The split after this one that has pictures."""
        start = SPLITS.index(self.split.name) + 1
        order = [*SPLITS[start:], *SPLITS[:start]]
        return next(name for name in order if len(self.dataset.split(name)))

    def choose(self, classes: Iterable[int]) -> None:
        """Look at these classes only; at all of them where none is given."""
        self.chosen = frozenset(classes)
        labels = self.split.labels
        if self.chosen:
            self._places = np.flatnonzero(np.isin(labels, list(self.chosen)))
        else:
            self._places = np.arange(len(labels))

    def toggle(self, number: int) -> None:
        """Put a class into the filter, or take it out."""
        self.choose(self.chosen ^ {number})

    def filter(self) -> str:
        """The classes chosen, in words."""
        if not self.chosen:
            return "all classes"
        return ", ".join(safe_text(self.classes[number]) for number in sorted(self.chosen))

    def image(self, number: int) -> Images:
        image: Images = self.split.images[self._places[number]]
        return image

    def index(self, number: int) -> int:
        """The picture's place in the file it came from."""
        return int(self.split.indices[self._places[number]])

    def label(self, number: int) -> str:
        """The name of the picture's class."""
        return safe_text(self.classes[int(self.split.labels[self._places[number]])])

    def find(self, text: str) -> int:
        """The number of the picture whose index is written; a UserError says why there is none."""
        digits = text.strip().lstrip("#").replace(",", "").strip()
        if not (digits.isascii() and digits.isdecimal()):
            raise UserError(f"“{safe_text(text, 40)}” is no index: a whole number is asked for")
        index = int(digits[:18])
        split = self.split
        places = np.flatnonzero(split.indices == index)
        if len(places):
            number = int(np.searchsorted(self._places, places[0]))
            if number < len(self._places) and self._places[number] == places[0]:
                return number
            label = safe_text(self.classes[int(split.labels[places[0]])])
            raise UserError(f"#{index} is of class {label}, which the filter leaves out")
        if split.name in ("train", "val"):
            other = self.dataset.val if split.name == "train" else self.dataset.train
            if (other.indices == index).any():
                raise UserError(f"#{index} is in {other.name}, not in {split.name}")
        if not len(split):
            raise UserError(f"{split.name} has no pictures")
        low, high = int(split.indices.min()), int(split.indices.max())
        raise UserError(
            f"{split.name} has no picture #{digits[:18]}: its indices are from {low:,} to {high:,}"
        )


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """What can be counted of one picture; `shares` are those of eight ranges of brightness."""

    mean: float
    least: int
    most: int
    dark: float
    shares: tuple[float, ...]

    @classmethod
    def of(cls, image: npt.NDArray[np.uint8], bins: int = 8) -> ImageStatistics:
        counts = np.bincount(image.ravel() // np.uint8(256 // bins), minlength=bins)
        return cls(
            float(image.mean()),
            int(image.min()),
            int(image.max()),
            float((image < DARK).mean()),
            tuple(float(count) / image.size for count in counts),
        )


def class_means(split: Split, classes: int) -> Images:
    """The mean picture of each class; black for a class that has none."""
    means = np.zeros((classes, *split.images.shape[1:]), np.uint8)
    for number in range(classes):
        pictures = split.images[split.labels == number]
        if len(pictures):
            means[number] = np.rint(pictures.mean(axis=0))
    return means


def matching(classes: tuple[str, ...], text: str) -> frozenset[int]:
    """The classes that words (with spaces or commas between) name: by number or part of a name."""
    words = text.casefold().replace(",", " ").split()
    names = [name.casefold() for name in classes]
    return frozenset(
        number
        for number, name in enumerate(names)
        for word in words
        if word in name or (word.isdecimal() and int(word[:9]) == number and word not in names)
    )

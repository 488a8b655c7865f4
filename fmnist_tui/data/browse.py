"""Browsing a dataset: the images of a split by class and by index, and statistics of one image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.data.dataset import Dataset, Images, Labels, Split
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

DARK = 32
"""Pixels below this count as dark."""


class DatasetFilter:
    """One split of a dataset and the selected classes; no class selected means all.

    The images that pass are numbered from 0, in the order of the split.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.split: Split = dataset.train
        self.selected: frozenset[int] = frozenset()
        self.counts: tuple[int, ...] = ()
        self._positions: Labels = np.empty(0, np.int64)
        self.select_split("train")

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.info.classes

    def select_split(self, name: str) -> None:
        """Switch to another split; the selected classes stay."""
        self.split = self.dataset.split(name)
        counts = np.bincount(self.split.labels, minlength=len(self.classes))
        self.counts = tuple(counts.tolist())
        self.select_classes(self.selected)

    def next_split(self) -> str:
        """The next split that has images."""
        start = SPLITS.index(self.split.name) + 1
        order = [*SPLITS[start:], *SPLITS[:start]]
        return next(name for name in order if len(self.dataset.split(name)))

    def select_classes(self, classes: Iterable[int]) -> None:
        self.selected = frozenset(classes)
        passing = np.isin(self.split.labels, list(self.selected or range(len(self.classes))))
        self._positions = np.flatnonzero(passing)

    def describe(self) -> str:
        """The names of the selected classes."""
        if not self.selected:
            return "all classes"
        return ", ".join(safe_text(self.classes[number]) for number in sorted(self.selected))

    def image(self, number: int) -> Images:
        image: Images = self.split.images[self._positions[number]]
        return image

    def index(self, number: int) -> int:
        """The image's index in the file it came from."""
        return int(self.split.indices[self._positions[number]])

    def label(self, number: int) -> int:
        return int(self.split.labels[self._positions[number]])

    def class_name(self, number: int) -> str:
        return safe_text(self.classes[self.label(number)])

    def find(self, text: str) -> int:
        """The number of the image with the index in `text`; raises UserError if there is none."""
        digits = text.strip().lstrip("#").replace(",", "").strip()
        if not (digits.isascii() and digits.isdecimal()):
            raise UserError(f"“{safe_text(text, 40)}” is not an index: enter a whole number")
        index = int(digits[:18])
        split = self.split
        positions = np.flatnonzero(split.indices == index)
        if len(positions):
            number = int(np.searchsorted(self._positions, positions[0]))
            if number < len(self._positions) and self._positions[number] == positions[0]:
                return number
            name = safe_text(self.classes[int(split.labels[positions[0]])])
            raise UserError(f"#{index} is of class {name}, which the filter excludes")
        if split.name in ("train", "val"):
            other = self.dataset.val if split.name == "train" else self.dataset.train
            if (other.indices == index).any():
                raise UserError(f"#{index} is in {other.name}, not in {split.name}")
        if not len(split):
            raise UserError(f"{split.name} has no images")
        low, high = int(split.indices.min()), int(split.indices.max())
        raise UserError(
            f"{split.name} has no image #{digits[:18]}: its indices are from {low:,} to {high:,}"
        )


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """Pixel statistics of one image; `histogram` has the shares of equal brightness ranges."""

    mean: float
    minimum: int
    maximum: int
    dark_share: float
    histogram: tuple[float, ...]

    @classmethod
    def measure(cls, image: npt.NDArray[np.uint8], bins: int = 8) -> ImageStatistics:
        counts = np.bincount(image.ravel() // np.uint8(256 // bins), minlength=bins)
        dark_share, histogram = float((image < DARK).mean()), tuple((counts / image.size).tolist())
        return cls(float(image.mean()), int(image.min()), int(image.max()), dark_share, histogram)


def class_means(split: Split, classes: int) -> Images:
    """The mean image of each class; black for a class without images."""
    means = np.zeros((classes, *split.images.shape[1:]), np.uint8)
    for number in range(classes):
        images = split.images[split.labels == number]
        if len(images):
            means[number] = np.rint(images.mean(axis=0))
    return means


def match_classes(classes: tuple[str, ...], text: str) -> frozenset[int]:
    """The classes whose number or part of whose name is among the words of `text`."""
    words = text.casefold().replace(",", " ").split()
    names = [name.casefold() for name in classes]
    return frozenset(
        number
        for number, name in enumerate(names)
        for word in words
        if word in name or (word.isdecimal() and int(word[:9]) == number and word not in names)
    )

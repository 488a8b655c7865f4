"""The images of a dataset as the Data screen shows them: original, augmented or class means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from textual.content import Content

from fmnist_tui.data.browse import DatasetFilter
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.tui.widgets.gallery import Tile
from fmnist_tui.util.class_names import short_name
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

Mode = Literal["original", "augmented", "means"]
Image = npt.NDArray[Any]


class DatasetView:
    """The images to show, by number, with their captions and facts."""

    def __init__(self, dataset: Dataset) -> None:
        self.filter = DatasetFilter(dataset)
        self.mode: Mode = "original"
        self.on_disk = True
        # Augmented images by number; another dict whenever the numbers mean other images.
        self.augmented: dict[int, Image] = {}
        self.augmentation = ""
        self._means: Image | None = None
        self._means_split = ""

    def __len__(self) -> int:
        return len(self.filter.classes) if self.mode == "means" else len(self.filter)

    def select_split(self, name: str) -> None:
        self.filter.select_split(name)
        self.augmented = {}

    def select_classes(self, classes: Iterable[int]) -> None:
        self.filter.select_classes(classes)
        self.augmented = {}
        if self.mode == "means":
            self.mode = "original"

    def check_index(self, text: str) -> str:
        """Why there is no image with the index in `text`; empty if there is one."""
        try:
            self.filter.find(text)
        except UserError as error:
            return str(error)
        return ""

    def set_means(self, means: Image) -> None:
        """Set the mean images of the split's classes."""
        self._means, self._means_split = means, self.filter.split.name

    @property
    def has_old_means(self) -> bool:
        """Whether the means shown are those of another split."""
        return self.mode == "means" and self._means_split != self.filter.split.name

    def is_pending(self, numbers: Iterable[int]) -> bool:
        """Whether some of these images are still to be augmented."""
        return self.mode == "augmented" and any(number not in self.augmented for number in numbers)

    def originals(self, numbers: Iterable[int]) -> Image:
        """The original images, (count, height, width, channels)."""
        return np.stack([self.filter.image(number) for number in numbers])

    def image(self, number: int) -> Image:
        """The image to show: the original until it is augmented."""
        if self.mode == "means" and self._means is not None:
            mean: Image = self._means[number]
            return mean
        if self.mode == "augmented" and number in self.augmented:
            return self.augmented[number]
        return self.filter.image(number)

    def tile(self, number: int, columns: int) -> Tile:
        if self.mode == "means":
            label, note = number, f"{self.filter.counts[number]:,}"
        else:
            label = self.filter.label(number)
            note = "…" if self.is_pending((number,)) else f"#{self.filter.index(number)}"
        caption = short_name(self.filter.classes, label, columns)
        return Tile(self.image(number), Content(caption), Content(note))

    def facts(self, number: int) -> list[tuple[str, str]]:
        """Names and values of what is known about an image besides its pixels."""
        images, split = self.filter, self.filter.split.name
        if self.mode == "means":
            count = f"{images.counts[number]:,} in {split}"
            return [("class", safe_text(images.classes[number])), ("count", count)]
        return [
            ("label", images.class_name(number)),
            ("index", f"#{images.index(number)} of {split}"),
            ("number", f"{number + 1:,} of {len(images):,}"),
        ]

    @property
    def title(self) -> str:
        """What the images are, in one line."""
        parts = [self.filter.split.name]
        if self.mode == "means":
            parts.append("class means")
        if self.mode == "augmented":
            parts.append(f"augmented: {self.augmentation}")
        if self.mode == "original" or (self.mode == "augmented" and self.filter.selected):
            parts.append(self.filter.describe())
        if self.filter.dataset.info.synthetic:
            parts.append("SYNTHETIC")
        return " · ".join(parts)

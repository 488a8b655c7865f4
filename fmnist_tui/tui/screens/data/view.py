"""What Data shows of a data set: pictures as they are, as a model is shown them, class means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from textual.content import Content

from fmnist_tui.data.browse import DatasetFilter
from fmnist_tui.tui.widgets.gallery import Tile
from fmnist_tui.util.text import safe_text

View = Literal["plain", "augmented", "means"]
Image = npt.NDArray[Any]


class DatasetView:
    """The pictures to show, by number, and words for them. `view` says which kind."""

    def __init__(self, browse: DatasetFilter) -> None:
        self.browse = browse
        self.view: View = "plain"
        self._means: Image | None = None
        self._means_of = ""
        self._augmented: dict[int, Image] = {}
        self._told = ""
        # What was asked for before the pictures were others is not to be taken.
        self.generation = 0
        # Whether its files are still where they were read from.
        self.on_disk = True

    def __len__(self) -> int:
        return len(self.browse.classes) if self.view == "means" else len(self.browse)

    def show_plain(self) -> None:
        self.view = "plain"

    def show_means(self, means: Image) -> None:
        """Show these, one for each class of the split."""
        self.view, self._means, self._means_of = "means", means, self.browse.split.name

    def show_augmented(self, told: str) -> None:
        """Show pictures as a model is shown them; `told` says by which augmentation."""
        self.view, self._told = "augmented", told

    def take(self, images: dict[int, Image]) -> None:
        """Pictures by their number, as the augmentation has made them this time."""
        self._augmented = images

    def forget(self) -> None:
        """Other pictures go by these numbers now."""
        self._augmented = {}
        self.generation += 1

    @property
    def stale(self) -> bool:
        """Whether the means shown are those of another split."""
        return self.view == "means" and self._means_of != self.browse.split.name

    def lacks(self, numbers: Iterable[int]) -> bool:
        """Whether some of these pictures are still to be augmented."""
        return self.view == "augmented" and any(number not in self._augmented for number in numbers)

    def originals(self, numbers: Iterable[int]) -> Image:
        """The pictures as they are, (count, height, width, channels)."""
        return np.stack([self.browse.image(number) for number in numbers])

    def image(self, number: int) -> Image:
        """The picture as it is shown; as it is while its augmentation is under way."""
        if self.view == "means" and self._means is not None:
            mean: Image = self._means[number]
            return mean
        if self.view == "augmented" and number in self._augmented:
            return self._augmented[number]
        return self.browse.image(number)

    def tile(self, number: int) -> Tile:
        if self.view == "means":
            caption = Content(safe_text(self.browse.classes[number]))
            return Tile(self.image(number), caption, Content(f"{self.browse.counts[number]:,}"))
        note = "…" if self.lacks((number,)) else f"#{self.browse.index(number)}"
        return Tile(self.image(number), Content(self.browse.class_name(number)), Content(note))

    def facts(self, number: int) -> list[tuple[str, str]]:
        """What is known of a picture besides its pixels."""
        browse = self.browse
        if self.view == "means":
            return [
                ("class", safe_text(browse.classes[number])),
                ("count", f"{browse.counts[number]:,} in {browse.split.name}"),
            ]
        return [
            ("label", browse.class_name(number)),
            ("index", f"#{browse.index(number)} of {browse.split.name}"),
            ("place", f"{number + 1:,} of {len(browse):,}"),
        ]

    @property
    def title(self) -> str:
        """What the pictures are, in a line."""
        browse = self.browse
        synthetic = " · SYNTHETIC" if browse.dataset.info.synthetic else ""
        if self.view == "means":
            return f"{browse.split.name} · the mean of each class{synthetic}"
        kind = [f"augmented: {self._told}"] if self.view == "augmented" else []
        classes = [browse.describe()] if browse.selected or not kind else []
        return " · ".join([browse.split.name, *kind, *classes]) + synthetic

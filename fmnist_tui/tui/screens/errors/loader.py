"""Loads the images for Errors in a thread, from a run's predictions and its dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.analysis.predictions import Misclassified, MissOrder, Predictions
from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import is_from_path
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.screens.errors.filters import ALL_ERRORS, Pair
from fmnist_tui.tui.state.dataset_cache import DatasetCache, DatasetSpec
from fmnist_tui.tui.state.evaluation_cache import LoadedEvaluation
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


class SplitImages:
    """The images of a split by their index in the dataset."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self._order = np.argsort(split.indices, kind="stable")
        self._sorted = split.indices[self._order]

    def image(self, index: int) -> npt.NDArray[Any] | None:
        position = int(np.searchsorted(self._sorted, index))
        if position >= len(self._sorted) or self._sorted[position] != index:
            return None
        image: npt.NDArray[Any] = self._split.images[self._order[position]]
        return image

    def count_changed(self, predictions: Predictions) -> int:
        """How many of the predicted images are missing now, are others or have another label."""
        if not len(self._sorted):
            return len(predictions.labels)
        positions = np.searchsorted(self._sorted, predictions.indices)
        positions = positions.clip(0, len(self._sorted) - 1)
        same = self._sorted[positions] == predictions.indices
        rows, ids = self._order[positions], self._split.ids
        same &= predictions.are_of(self._split.labels[rows], None if ids is None else ids[rows])
        return int((~same).sum())


def load_images(
    datasets: DatasetCache, folder: RunFolder, split: str, dataset: Dataset | None = None
) -> SplitImages:
    """Load the images of a run's split; call it in a thread.

    `dataset` is the one that the run trains on, if it is in memory. Raises a one-line UserError
    where the images are not available."""
    try:
        config = recipes.read_recipe(folder.config).config()
    except UserError as error:
        raise UserError(f"the dataset of this run is unknown: {error}") from None
    # A run with a limit is still evaluated on all training images.
    all_images = split == "train" and config.limit is not None
    if dataset is not None and not all_images:
        return SplitImages(dataset.split(split))
    if not is_from_path(config.dataset) and not datasets.is_present(config.dataset):
        name = safe_text(config.dataset, 60)
        raise UserError(
            f"{name} is not downloaded yet: {key_name('show.data')} (Data) downloads it"
        )
    spec = DatasetSpec.of(config)
    spec = replace(spec, limit=None) if all_images else spec
    return SplitImages(datasets.load(spec, fetch=False, again=True).split(split))


@dataclass(frozen=True, slots=True)
class LoadedErrors:
    """The images of `pair` in `order`. `changed` counts the images that are missing or have
    another label since they were predicted."""

    evaluation: LoadedEvaluation
    pair: Pair
    order: MissOrder
    misses: list[Misclassified]
    images: SplitImages
    changed: int


class ErrorLoader:
    """Loads the images of `pair`, the one asked for, into `loaded`; `error` says why that failed.

    Until they are loaded, `loaded` are others of the same evaluation, or none."""

    def __init__(self, screen: DashboardScreen, on_change: Callable[[], None]) -> None:
        self._screen, self._on_change = screen, on_change
        self.pair: Pair = ALL_ERRORS
        self.loaded: LoadedErrors | None = None
        self.error = ""
        self._request: object = None

    def reset(self) -> None:
        """Show no images; what a load in progress brings is dropped."""
        self.loaded, self._request, self.error = None, None, ""

    def load(self, evaluation: LoadedEvaluation, order: MissOrder, feed: RunFeed | None) -> None:
        """Load the images of the current pair, unless that is done already. `feed` is the run
        in progress if it is this one, since its dataset is in memory."""
        count = len(evaluation.predictions.classes)
        if any(number is not None and number >= count for number in self.pair):
            self.pair = ALL_ERRORS
        request = (evaluation, self.pair, order)
        if self._request == request:
            return
        self._request, self.error = request, ""
        if self.loaded is not None and self.loaded.evaluation is not evaluation:
            self.loaded = None
        pair, known = self.pair, self.loaded.images if self.loaded is not None else None
        dataset = feed.training.dataset if feed is not None and feed.training is not None else None
        datasets = self._screen.app_state.datasets

        def load() -> LoadedErrors:
            predictions = evaluation.predictions
            images = known or load_images(datasets, evaluation.folder, evaluation.split, dataset)
            misses = predictions.find_misses(*pair, order)
            changed = images.count_changed(predictions)
            return LoadedErrors(evaluation, pair, order, misses, images, changed)

        def on_done(loaded: LoadedErrors) -> None:
            if self._request is not request:
                return
            self.loaded = loaded
            self._on_change()

        def on_error(message: str) -> None:
            if self._request is not request:
                return
            self.loaded, self.error = None, message
            self._on_change()

        self._screen.run_in_thread(load, on_done, on_error, group="errors")

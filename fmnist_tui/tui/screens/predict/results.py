"""Results of predictions, small enough to keep, and the queue of files to predict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fmnist_tui.render.cells import Pixels, resize
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.images.prepare import PreparationStep
    from fmnist_tui.engine.inference.predict import Prediction

# The most files in the queue.
MAX_FILES = 2000
# Larger images of a stage are scaled down to this, the most that a screen shows.
_MAX_SIDE = 96
_THUMBNAIL_SIDE = 28
# Only the newest results keep the images of their stages; others are predicted again.
_MAX_DETAILED = 64
_BATCH_SIZE = 4
# A model is unsure of an image if its most probable class has less than this.
SURE = 0.6
UNSURE_SIGN, UNSURE_NOTE = "?", f"unsure: all below {100 * SURE:.0f} %"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """All classes with their probabilities, highest first, the file's image as a `thumbnail`,
    and the preparation's stages; or an `error`."""

    file: Path
    ranked: tuple[tuple[str, float], ...] = ()
    thumbnail: Pixels | None = None
    stages: tuple[PreparationStep, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_unsure(self) -> bool:
        return is_unsure(self.ranked)

    @property
    def input(self) -> Pixels | None:
        """The image as the network gets it."""
        return self.stages[-1].image if self.stages else None


def build_result(prediction: Prediction) -> Result:
    """A prediction with images scaled down, which takes a moment for large ones."""
    prepared = prediction.prepared
    if prepared is None:
        return Result(
            prediction.file, prediction.ranked, notes=prediction.notes, error=prediction.error
        )
    stages = tuple(
        replace(step, image=_limit_side(step.image, _MAX_SIDE)) for step in prepared.steps
    )
    thumbnail = _limit_side(stages[0].image, _THUMBNAIL_SIDE)
    notes = (*prediction.notes, *prepared.notes)
    return Result(prediction.file, prediction.ranked, thumbnail, stages, notes)


def _limit_side(image: Pixels, side: int) -> Pixels:
    return resize(image, side) if max(image.shape[:2]) > side else image


def is_unsure(ranked: Sequence[tuple[str, float]]) -> bool:
    """Whether the most probable class has less than `SURE`, or no number."""
    return bool(ranked) and not ranked[0][1] >= SURE


def describe(ranked: Sequence[tuple[str, float]]) -> str:
    """The most probable class with its probability, and the second where the model is unsure."""
    if not ranked:
        return ""
    name, probability = safe_text(ranked[0][0]), ranked[0][1]
    if probability != probability:
        return "no result: the model's weights are not numbers"
    percent = format_percent(probability, 1)
    if not is_unsure(ranked):
        return f"{name}, {percent}"
    second = f" or {safe_text(ranked[1][0])}" if len(ranked) > 1 else ""
    return f"{UNSURE_SIGN} {name}{second}"


class PredictionQueue:
    """Files in the order in which they are predicted, a batch at a time, and their results."""

    def __init__(self) -> None:
        self.results: dict[Path, Result | None] = {}
        self._waiting: dict[Path, None] = {}
        self._detailed: OrderedDict[Path, Result] = OrderedDict()

    def reset(self, files: Iterable[Path]) -> None:
        """Replace all files, and forget all results."""
        self.results = dict.fromkeys(files)
        self._waiting = dict.fromkeys(self.results)
        self._detailed.clear()

    def add(self, files: Iterable[Path]) -> None:
        """Add new and changed files; the oldest are dropped where there are too many."""
        for file in files:
            self.results.setdefault(file, None)
            self._detailed.pop(file, None)
            self._waiting.setdefault(file)
        for oldest in list(self.results)[: max(0, len(self.results) - MAX_FILES)]:
            del self.results[oldest]
            self._detailed.pop(oldest, None)
            self._waiting.pop(oldest, None)

    def again(self, file: Path) -> None:
        """Predict this file, again if it has been predicted."""
        self._waiting.setdefault(file)

    def next_batch(self, urgent: Iterable[Path] = ()) -> list[Path]:
        """Take the files to predict now, `urgent` ones before the others."""
        waiting = {file: None for file in urgent if file in self._waiting} | self._waiting
        batch = list(islice(waiting, _BATCH_SIZE))
        for file in batch:
            del self._waiting[file]
        return batch

    def store(self, results: Iterable[Result]) -> None:
        """Keep the results of files that are still in the queue."""
        for result in results:
            if result.file in self.results:
                self.results[result.file] = replace(result, stages=())
                self._detailed[result.file] = result
                self._detailed.move_to_end(result.file)
        while len(self._detailed) > _MAX_DETAILED:
            self._detailed.popitem(last=False)

    def detailed(self, file: Path) -> Result | None:
        """The result with its stages; None where the file has to be predicted (again)."""
        if file in self._detailed:
            self._detailed.move_to_end(file)
            return self._detailed[file]
        result = self.results.get(file)
        return result if result is not None and result.error else None

"""What a model says of pictures, in a form that is light enough to keep and quick to show."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fmnist_tui.render.cells import resize
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.images.prepare import PreparationStep
    from fmnist_tui.engine.inference.predict import Prediction

# A step is kept no larger than a screen could show it.
LARGEST = 96
# So many answers keep the pictures of their steps; those of others are asked for again.
DETAILED = 64
BATCH = 4
# So many pictures are listed at a time.
MOST = 2000
_SURE, _LIKELY = 0.9, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PreparationStage:
    """A picture on the way to what the model sees."""

    name: str
    caption: str
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Every class with its probability, likeliest first; or an `error`."""

    file: Path
    ranked: tuple[tuple[str, float], ...] = ()
    stages: tuple[PreparationStage, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


def reduced(predictions: Sequence[Prediction]) -> list[Result]:
    """The session's predictions with small pictures; takes a moment for large ones."""
    return [_reduced(prediction) for prediction in predictions]


def _reduced(prediction: Prediction) -> Result:
    prepared = prediction.prepared
    if prepared is None:
        return Result(prediction.file, prediction.ranked, error=prediction.error)
    stages = tuple(map(_stage, prepared.steps))
    return Result(prediction.file, prediction.ranked, stages, prepared.notes)


def _stage(step: PreparationStep) -> PreparationStage:
    large = max(step.image.shape[:2]) > LARGEST
    image = resize(step.image, LARGEST) if large else step.image
    return PreparationStage(step.name, step.caption, image)


def in_words(ranked: Sequence[tuple[str, float]]) -> str:
    """The answer as one would say it."""
    if not ranked:
        return ""
    name, share = safe_text(ranked[0][0]), ranked[0][1]
    if share != share:
        return "no answer: the model's weights are not numbers"
    if share >= _SURE:
        return f"{name}, {100 * share:.1f} %"
    if share >= _LIKELY and (len(ranked) < 2 or ranked[1][1] <= share / 2):
        return f"probably {name}, {100 * share:.1f} %"
    others = f" or {safe_text(ranked[1][0])}" if len(ranked) > 1 else ""
    return f"{name}{others}: not sure, {100 * share:.1f} %"


class PredictionQueue:
    """Files and what has been said of them; a few at a time are asked about, in their order.

    A newer answer about a file takes the place of an older one."""

    def __init__(self) -> None:
        self.answers: dict[Path, Result | None] = {}
        self._waiting: deque[Path] = deque()
        self._detailed: OrderedDict[Path, Result] = OrderedDict()

    def begin(self, files: Iterable[Path]) -> None:
        """Ask about these files, and about none of those before."""
        self.answers = dict.fromkeys(files)
        self.again()

    def again(self) -> None:
        """Ask about all files anew: another model is to answer."""
        self.answers = dict.fromkeys(self.answers)
        self._waiting = deque(self.answers)
        self._detailed.clear()

    def add(self, files: Iterable[Path]) -> None:
        """Ask about more files, or again about some that have changed; too many push the
        oldest out."""
        for file in files:
            self.answers.setdefault(file, None)
            self._detailed.pop(file, None)
            if file not in self._waiting:
                self._waiting.append(file)
        for oldest in list(self.answers)[: max(0, len(self.answers) - MOST)]:
            del self.answers[oldest]
            self._detailed.pop(oldest, None)
            if oldest in self._waiting:
                self._waiting.remove(oldest)

    def hurry(self, file: Path) -> None:
        """Ask about this file before the others."""
        if file in self._waiting:
            self._waiting.remove(file)
        self._waiting.appendleft(file)

    def next(self) -> list[Path]:
        """The files to ask about now."""
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def take(self, answers: Iterable[Result]) -> None:
        """Take in what was said; what is not asked about any more is dropped."""
        for answer in answers:
            if answer.file in self.answers:
                self.answers[answer.file] = replace(answer, stages=())
                self._detailed[answer.file] = answer
                self._detailed.move_to_end(answer.file)
        while len(self._detailed) > DETAILED:
            self._detailed.popitem(last=False)

    def detail(self, file: Path) -> Result | None:
        """The answer with its pictures; None where it has to be asked for (again)."""
        if file in self._detailed:
            self._detailed.move_to_end(file)
            return self._detailed[file]
        answer = self.answers.get(file)
        return answer if answer is not None and answer.error else None

    @property
    def done(self) -> int:
        return sum(answer is not None for answer in self.answers.values())

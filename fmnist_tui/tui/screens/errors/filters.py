"""Which images were got wrong: lists of them, narrowed by what is typed, and their pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.analysis.predictions import Misclassified, MissOrder, Predictions
from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.state.dataset_cache import DatasetCache, DataSpec
from fmnist_tui.tui.widgets.columns import fitted
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

ORDERS: tuple[MissOrder, ...] = get_args(MissOrder)
IN_WORDS: dict[MissOrder, str] = {
    "confidence": "most confident first",
    "loss": "dearest in loss first",
    "index": "by index",
}
# True and predicted class, None for any.
Classes = tuple[int | None, int | None]
EVERY: Classes = (None, None)
_PAIR = 52


@dataclass(frozen=True, slots=True)
class Filter:
    """What typing leaves: an index, or classes that the true or the predicted one is among."""

    index: int | None = None
    true: frozenset[int] | None = None
    predicted: frozenset[int] | None = None
    either: frozenset[int] | None = None
    problem: str = ""

    def keeps(self, miss: Misclassified) -> bool:
        if self.problem:
            return False
        if self.index is not None:
            return miss.index == self.index
        return (
            (self.true is None or miss.true in self.true)
            and (self.predicted is None or miss.predicted in self.predicted)
            and (self.either is None or bool(self.either & {miss.true, miss.predicted}))
        )


def parsed(text: str, classes: Sequence[str]) -> Filter:
    """What `shirt`, `shirt>coat`, `>coat` or `#123` stands for.

    A name is meant whole where there is one of that name, or else as a part. A number that
    is no class's name is an index."""
    text = text.strip().replace("→", ">")
    if not text:
        return Filter()
    number = text.removeprefix("#").strip()
    if number.isdecimal() and (text.startswith("#") or number not in classes):
        return Filter(index=int(number[:18]))
    if ">" not in text:
        found = _named(text, classes)
        return Filter(either=found) if found else Filter(problem=_unknown(text))
    sides = [side.strip() for side in text.split(">", 1)]
    sets = [_named(side, classes) if side else None for side in sides]
    for side, chosen in zip(sides, sets, strict=True):
        if side and not chosen:
            return Filter(problem=_unknown(side))
    return Filter(true=sets[0], predicted=sets[1])


def _named(text: str, classes: Sequence[str]) -> frozenset[int]:
    wanted = text.casefold()
    names = [name.casefold() for name in classes]
    whole = frozenset(number for number, name in enumerate(names) if name == wanted)
    return whole or frozenset(number for number, name in enumerate(names) if wanted in name)


def _unknown(text: str) -> str:
    return f"no class is called “{safe_text(text, 30)}”"


class SplitImages:
    """The pictures of a split by their index."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self._order = np.argsort(split.indices, kind="stable")
        self._sorted = split.indices[self._order]

    def image(self, index: int) -> npt.NDArray[Any] | None:
        place = int(np.searchsorted(self._sorted, index))
        if place >= len(self._sorted) or self._sorted[place] != index:
            return None
        picture: npt.NDArray[Any] = self._split.images[self._order[place]]
        return picture

    def strays(self, predictions: Predictions) -> int:
        """How many of the predicted images are not there any more, or are another class now."""
        if not len(self._sorted):
            return len(predictions.labels)
        places = np.searchsorted(self._sorted, predictions.indices).clip(0, len(self._sorted) - 1)
        same = self._sorted[places] == predictions.indices
        same &= self._split.labels[self._order[places]] == predictions.labels
        return int((~same).sum())


def open_album(
    library: DatasetCache, folder: RunFolder, split: str, dataset: Dataset | None = None
) -> SplitImages:
    """The pictures of a run's split: call it in a thread.

    `dataset` is what the run is being trained on, where that is known. Raises UserError,
    one line, where the pictures cannot be had."""
    try:
        config = recipes.read(folder.config).config()
    except UserError as error:
        raise UserError(f"whose pictures these are is not known any more: {error}") from None
    if dataset is not None and (split != "train" or config.limit is None):
        return SplitImages(dataset.split(split))
    name = safe_text(config.dataset, 60)
    if ":" not in config.dataset and not library.present(config.dataset):
        raise UserError(f"the pictures of {name} are not on this machine: 1 (Data) fetches them")
    return SplitImages(library.load(_spec(config, split), fetch=False).split(split))


def _spec(config: RunConfig, split: str) -> DataSpec:
    # A run trained on a part is evaluated on all of the training images.
    spec = DataSpec.of(config)
    return replace(spec, limit=None) if split == "train" else spec


def loss(miss: Misclassified) -> float:
    """What the image cost: the negative logarithm of its own class's probability."""
    return -math.log(max(miss.true_probability, 1e-12))


def ranked(predictions: Predictions, miss: Misclassified) -> list[tuple[str, float]]:
    """All classes with their probabilities for one image, likeliest first."""
    shares = softmax(predictions.logits[miss.place : miss.place + 1])[0]
    order = np.argsort(-shares, kind="stable")
    return [(predictions.classes[place], float(shares[place])) for place in order]


def pair_name(pair: Classes, classes: Sequence[str]) -> str:
    """`Shirt → Coat`, `Shirt → any`."""
    true, said = ("any" if number is None else safe_text(classes[number], 24) for number in pair)
    return f"{true} → {said}"


def choices(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs that there are images of, as (key, text): all errors, pairs, then classes."""
    total = sum(sum(row) for row in confusion)
    right = [row[number] for number, row in enumerate(confusion)]
    numbers = range(len(classes))
    pairs: list[tuple[Classes, int]] = [
        ((true, said), confusion[true][said])
        for true in numbers
        for said in numbers
        if true != said
    ]
    counts: list[tuple[Classes, int]] = sorted(pairs, key=lambda pair: -pair[1])
    for number in numbers:
        counts.append(((number, None), sum(confusion[number]) - right[number]))
    for number in numbers:
        counts.append(((None, number), sum(row[number] for row in confusion) - right[number]))
    told = [(key(EVERY), "all errors", total - sum(right))]
    told += [(key(pair), pair_name(pair, classes), count) for pair, count in counts]
    told += [
        (key((number, number)), f"{safe_text(classes[number], 24)}, got right", right[number])
        for number in numbers
    ]
    return [
        (name, f"{fitted(text, _PAIR)}{count:>8,}")
        for name, text, count in told
        if count or name == key(EVERY)
    ]


def key(pair: Classes) -> str:
    """A pair as the name of a choice."""
    return ">".join("" if number is None else str(number) for number in pair)


def from_key(text: str) -> Classes:
    true, _, said = text.partition(">")
    return (int(true) if true else None, int(said) if said else None)

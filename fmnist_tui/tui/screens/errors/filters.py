"""Which images Errors shows: a pair of classes, narrowed by what is typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.analysis.predictions import Misclassified, MissOrder
from fmnist_tui.tui.widgets.columns import fit_text
from fmnist_tui.util.class_names import short_names
from fmnist_tui.util.text import safe_text

ORDERS: dict[MissOrder, str] = {
    "confidence": "most confident first",
    "loss": "highest loss first",
    "index": "by index",
}
# True and predicted class; None for any.
Pair = tuple[int | None, int | None]
ALL_ERRORS: Pair = (None, None)
_CHOICE_WIDTH = 52


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """An index, or classes that the true, the predicted or either class must be one of."""

    index: int | None = None
    true: frozenset[int] | None = None
    predicted: frozenset[int] | None = None
    either: frozenset[int] | None = None
    problem: str = ""

    def matches(self, miss: Misclassified) -> bool:
        if self.problem:
            return False
        if self.index is not None:
            return miss.index == self.index
        return (
            (self.true is None or miss.true in self.true)
            and (self.predicted is None or miss.predicted in self.predicted)
            and (self.either is None or bool(self.either & {miss.true, miss.predicted}))
        )


def parse_filter(text: str, classes: Sequence[str]) -> ImageFilter:
    """Parse `shirt`, `shirt>coat`, `>coat` or `#123`.

    A name matches a class of exactly that name, or else every class that contains it. A number
    that is not the name of a class is an index."""
    text = text.strip().replace("→", ">")
    if not text:
        return ImageFilter()
    number = text.removeprefix("#").strip()
    if number.isdecimal() and (text.startswith("#") or number not in classes):
        return ImageFilter(index=int(number[:18]))
    names = [side.strip() for side in text.split(">", 1)]
    sides = [_find_classes(name, classes) if name else None for name in names]
    for name, matches in zip(names, sides, strict=True):
        if matches is not None and not matches:
            return ImageFilter(problem=f"no class matches “{safe_text(name, 30)}”")
    if len(sides) == 1:
        return ImageFilter(either=sides[0])
    return ImageFilter(true=sides[0], predicted=sides[1])


def _find_classes(text: str, classes: Sequence[str]) -> frozenset[int]:
    text = text.casefold()
    names = [name.casefold() for name in classes]
    exact = frozenset(number for number, name in enumerate(names) if name == text)
    return exact or frozenset(number for number, name in enumerate(names) if text in name)


def pair_name(pair: Pair, classes: Sequence[str]) -> str:
    """`Shirt → Coat`, `Shirt → any`, `Shirt, correct`."""
    labels = short_names(classes, 24)
    if pair[0] is not None and pair[0] == pair[1]:
        return f"{labels[pair[0]]}, correct"
    names = ("any" if number is None else labels[number] for number in pair)
    return " → ".join(names)


def pair_choices(
    confusion: Sequence[Sequence[int]], classes: Sequence[str]
) -> list[tuple[str, str]]:
    """The pairs that have images, as (key, text): all errors, confusions, classes, correct."""
    total = sum(map(sum, confusion))
    correct = [row[number] for number, row in enumerate(confusion)]
    numbers = range(len(classes))
    counts: list[tuple[Pair, int]] = [
        ((true, predicted), confusion[true][predicted])
        for true in numbers
        for predicted in numbers
        if true != predicted
    ]
    counts.sort(key=lambda item: -item[1])
    counts += [((number, None), sum(confusion[number]) - correct[number]) for number in numbers]
    counts += [
        ((None, number), sum(row[number] for row in confusion) - correct[number])
        for number in numbers
    ]
    choices = [(ALL_ERRORS, "all errors", total - sum(correct))]
    choices += [(pair, pair_name(pair, classes), count) for pair, count in counts]
    choices += [
        ((number, number), pair_name((number, number), classes), correct[number])
        for number in numbers
    ]
    return [
        (format_key(pair), f"{fit_text(text, _CHOICE_WIDTH)}{count:>8,}")
        for pair, text, count in choices
        if count or pair == ALL_ERRORS
    ]


def format_key(pair: Pair) -> str:
    return ">".join("" if number is None else str(number) for number in pair)


def parse_key(key: str) -> Pair:
    true, _, predicted = key.partition(">")
    return (int(true) if true else None, int(predicted) if predicted else None)

"""The confusion matrix as a heat map of counts."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.report.scores import SplitScores

# A matrix of more classes shows only those with the most errors.
MAX_CLASSES = 30
HEAT_LEVELS = 6
# This share of a class confused with one other class is the hottest level.
_HOTTEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """The counts of one true class, each with its CSS class."""

    name: str
    cells: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """`hidden` counts the classes left out."""

    caption: str
    columns: list[str]
    rows: list[MatrixRow]
    hidden: int


def build_matrix(scores: SplitScores) -> ConfusionMatrix:
    """True classes as rows, predicted classes as columns."""
    confusion = scores.evaluation.confusion
    names = [score.name for score in scores.evaluation.classes]
    shown = worst_classes(confusion)
    return ConfusionMatrix(
        f"Counts on {scores.split}: true classes as rows, predicted classes as columns",
        [names[index] for index in shown],
        [
            MatrixRow(
                names[true],
                [
                    _cell(confusion[true][predicted], sum(confusion[true]), true == predicted)
                    for predicted in shown
                ],
            )
            for true in shown
        ],
        len(names) - len(shown),
    )


def worst_classes(confusion: tuple[tuple[int, ...], ...], limit: int = MAX_CLASSES) -> list[int]:
    """The classes with the most errors, at most `limit`, in the dataset's order."""
    errors = [
        sum(row) + sum(other[index] for other in confusion) - 2 * row[index]
        for index, row in enumerate(confusion)
    ]
    return sorted(sorted(range(len(errors)), key=lambda index: -errors[index])[:limit])


def heat_level(count: int, total: int, *, is_diagonal: bool) -> int:
    """The heat of a cell, from 0 to `HEAT_LEVELS`; any count above zero has at least 1."""
    if not count:
        return 0
    share = count / total if is_diagonal else min(1.0, count / total / _HOTTEST_SHARE)
    return max(1, round(share * HEAT_LEVELS))


def _cell(count: int, total: int, is_diagonal: bool) -> tuple[str, str]:
    level = heat_level(count, max(1, total), is_diagonal=is_diagonal)
    css_class = f"r{level} right" if is_diagonal else f"w{level}"
    return f"{count:,}" if count else "·", css_class

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
class ConfusionMatrix:
    """`rows` are true classes with counts and their CSS classes; `hidden` classes are left out."""

    caption: str
    columns: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]
    hidden: int


def build_matrix(scores: SplitScores) -> ConfusionMatrix:
    confusion = scores.evaluation.confusion
    names = [score.name for score in scores.evaluation.classes]
    indices = worst_classes(confusion)

    def cell(true: int, predicted: int) -> tuple[str, str]:
        count, is_diagonal = confusion[true][predicted], true == predicted
        level = heat_level(count, max(1, sum(confusion[true])), is_diagonal=is_diagonal)
        css_class = f"r{level} right" if is_diagonal else f"w{level}"
        return f"{count:,}" if count else "·", css_class

    return ConfusionMatrix(
        f"Counts on {scores.split}: true classes as rows, predicted classes as columns",
        [names[index] for index in indices],
        [(names[true], [cell(true, predicted) for predicted in indices]) for true in indices],
        len(names) - len(indices),
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

"""The confusion matrix as a table of counts with heat, and what it says of each class."""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_tui.report.formatting import percent
from fmnist_tui.report.html import Html, join, tag
from fmnist_tui.report.parts import scrolled, table
from fmnist_tui.report.scores import SplitScores
from fmnist_tui.util.text import counted

# With more classes than these the matrix shows the ones with most errors.
CLASSES = 30
LEVELS = 6
# One mistake in so many of a class is already as hot as a cell becomes.
_HOT = 0.2


def matrix(scores: SplitScores) -> Html:
    """Counts, true classes as rows. Right ones are on the diagonal, bold and framed."""
    names = [score.name for score in scores.classes]
    shown = worst(scores)
    corner = tag("td", tag("span", "true ↓ predicted →", class_="corner"))
    heads = (tag("th", tag("span", names[place], class_="upright"), scope="col") for place in shown)
    rows = []
    for true in shown:
        counts = scores.confusion[true]
        total = max(1, sum(counts))
        cells = (_cell(counts[said], total, true == said) for said in shown)
        rows.append(tag("tr", tag("th", names[true], scope="row"), *cells))
    caption = f"Counts on {scores.split}: true classes as rows, predicted classes as columns"
    whole = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", corner, *heads)),
        tag("tbody", *rows),
        class_="matrix",
    )
    left_out = len(names) - len(shown)
    note = None
    if left_out:
        words = f"The {len(shown)} classes with most errors; {left_out:,} others are left out."
        note = tag("p", words, class_="note")
    return join(scrolled(caption, whole), note)


def worst(scores: SplitScores, limit: int = CLASSES) -> list[int]:
    """The classes to show, in their order: all of them, or those with most errors."""
    count = len(scores.confusion)
    if count <= limit:
        return list(range(count))
    wrong = [
        sum(row) + sum(other[place] for other in scores.confusion) - 2 * row[place]
        for place, row in enumerate(scores.confusion)
    ]
    return sorted(sorted(range(count), key=lambda place: -wrong[place])[:limit])


def level(count: int, total: int, right: bool) -> int:
    """How hot a cell is, 0 to `LEVELS`."""
    if not count:
        return 0
    share = count / total if right else min(1.0, count / total / _HOT)
    return max(1, round(share * LEVELS))


def _cell(count: int, total: int, right: bool) -> Html:
    heat = f"{'r' if right else 'w'}{level(count, total, right)}"
    return tag("td", f"{count:,}" if count else "·", class_=heat + " right" * right)


def class_table(scores: SplitScores) -> Html:
    """Precision, recall, F1 and count of every class."""
    rows = [
        (
            score.name,
            percent(score.precision, 1),
            percent(score.recall, 1),
            percent(score.f1, 1),
            f"{score.support:,}",
        )
        for score in scores.classes
    ]
    count = max(1, len(scores.classes))
    means = (
        percent(sum(getattr(score, name) for score in scores.classes) / count, 1)
        for name in ("precision", "recall", "f1")
    )
    return table(
        f"Each class on {scores.split}",
        ("class", "precision", "recall", "F1", "images"),
        rows,
        ("macro average", *means, f"{scores.count:,}"),
    )


def confused(scores: SplitScores) -> Html | None:
    """The pairs of classes taken for each other most often."""
    pairs = scores.pairs()
    if not pairs:
        return None
    names = [score.name for score in scores.classes]
    rows = [
        (
            f"{names[true]} → {names[said]}",
            f"{count:,}",
            percent(count / max(1, sum(scores.confusion[true])), 1),
            percent(count / scores.wrong, 1),
        )
        for true, said, count in pairs
    ]
    return table(
        f"Most confused pairs on {scores.split}: true class → predicted class",
        ("pair", "images", "of the class", "of all errors"),
        rows,
    )


def listed(classes: Sequence[str]) -> str:
    """`10 classes: T-shirt/top, Trouser, …`"""
    return f"{counted(len(classes), 'class', 'classes')}: {', '.join(classes)}"

"""Tables of plain text, which `templates/macros.html.jinja` draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.report.collect import ReportFacts
from fmnist_tui.report.scores import SplitScores
from fmnist_tui.util.formatting import NO_VALUE, format_percent

MAX_PAIRS = 10


@dataclass(frozen=True, slots=True)
class ReportTable:
    """The first cell of a row names the row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    footer: Sequence[str] = ()


def format_percents(*shares: float) -> list[str]:
    return [format_percent(share, 1) for share in shares]


def class_table(scores: SplitScores) -> ReportTable:
    """Precision, recall, F1 and image count of every class."""
    result = scores.evaluation
    rows = [
        (
            score.name,
            *format_percents(score.precision, score.recall, score.f1),
            f"{score.support:,}",
        )
        for score in result.classes
    ]
    macro = format_percents(result.macro_precision, result.macro_recall, result.macro_f1)
    return ReportTable(
        f"Scores by class on {scores.split}",
        ("class", "precision", "recall", "F1", "images"),
        rows,
        ("macro average", *macro, f"{result.count:,}"),
    )


def confused_pairs_table(scores: SplitScores) -> ReportTable | None:
    """The most confused pairs of classes; None if there are no errors."""
    evaluation = scores.evaluation
    names, confusion = [score.name for score in evaluation.classes], evaluation.confusion
    rows = [
        (
            f"{names[true]} → {names[predicted]}",
            f"{count:,}",
            *format_percents(count / max(1, sum(confusion[true])), count / evaluation.wrong),
        )
        for true, predicted, count in evaluation.most_confused(MAX_PAIRS)
    ]
    if not rows:
        return None
    return ReportTable(
        f"Most confused pairs on {scores.split}: true class → predicted class",
        ("pair", "images", "share of class", "share of errors"),
        rows,
    )


def members_table(facts: ReportFacts) -> ReportTable:
    """The members of an ensemble with their own accuracies."""
    rows = []
    for member in facts.members:
        figures = (NO_VALUE, NO_VALUE, NO_VALUE)
        if (summary := member.summary) is not None:
            test = format_percent(summary.test_accuracy)
            figures = (summary.model, summary.val_text, test)
        rows.append((member.name, *figures, member.checkpoint or NO_VALUE))
    return ReportTable(
        "Members of the ensemble; each accuracy is the member's own, if its run still exists",
        ("run", "model", "val", "test", "checkpoint"),
        rows,
    )

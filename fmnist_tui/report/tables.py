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


def class_table(scores: SplitScores) -> ReportTable:
    """Precision, recall, F1 and image count of every class."""
    evaluation = scores.evaluation
    return ReportTable(
        f"Scores by class on {scores.split}",
        ("class", "precision", "recall", "F1", "images"),
        [
            (
                score.name,
                format_percent(score.precision, 1),
                format_percent(score.recall, 1),
                format_percent(score.f1, 1),
                f"{score.support:,}",
            )
            for score in evaluation.classes
        ],
        (
            "macro average",
            format_percent(evaluation.macro_precision, 1),
            format_percent(evaluation.macro_recall, 1),
            format_percent(evaluation.macro_f1, 1),
            f"{evaluation.count:,}",
        ),
    )


def confused_pairs_table(scores: SplitScores) -> ReportTable | None:
    """The most confused pairs of classes; None if there are no errors."""
    evaluation = scores.evaluation
    names = [score.name for score in evaluation.classes]
    rows = [
        (
            f"{names[true]} → {names[predicted]}",
            f"{count:,}",
            format_percent(count / max(1, sum(evaluation.confusion[true])), 1),
            format_percent(count / evaluation.wrong, 1),
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
        summary = member.summary
        figures = (
            (
                summary.model,
                format_percent(summary.best_val_accuracy),
                format_percent(summary.test_accuracy),
            )
            if summary is not None
            else (NO_VALUE, NO_VALUE, NO_VALUE)
        )
        rows.append((member.name, *figures, member.checkpoint or NO_VALUE))
    return ReportTable(
        "Members of the ensemble; each accuracy is the member's own, if its run still exists",
        ("run", "model", "val", "test", "checkpoint"),
        rows,
    )

"""The text on Evaluate: figures, reliability, and how well the run fits its data."""

from __future__ import annotations

from textual.content import Content

from fmnist_tui.analysis.metrics import CONFIDENT, Evaluation
from fmnist_tui.analysis.overfitting import (
    DIVERGED,
    GOOD,
    OVERFITTING,
    TOO_EARLY,
    UNDERFITTING,
    UNTRAINED,
    FitJudgement,
)
from fmnist_tui.util.formatting import NO_VALUE, format_percent

_SIGNS = {
    GOOD: ("✓", "$success"),
    OVERFITTING: ("▲", "$error"),
    UNDERFITTING: ("▼", "$warning"),
    DIVERGED: ("✗", "$error"),
    TOO_EARLY: ("…", "$foreground-muted"),
    UNTRAINED: ("–", "$foreground-muted"),
}
# The columns that the epochs need as rows; below that they are columns.
_WIDE = 62


def score_facts(evaluation: Evaluation) -> list[Content]:
    """`accuracy 91.87 % ±0.54 (95 %)  macro F1 91.80 %  ECE 1.20 %  loss 0.2345`."""
    accuracy = (format_percent(evaluation.accuracy), "bold $accent")
    return [
        Content.assemble("accuracy ", accuracy, f" {_margin(evaluation)} (95 %)"),
        Content(f"macro F1 {format_percent(evaluation.macro_f1)}"),
        Content(f"ECE {format_percent(evaluation.ece)}"),
        Content(f"loss {evaluation.loss:.4f}"),
    ]


def _margin(evaluation: Evaluation) -> str:
    """The 95 % interval of the accuracy as a distance from it, in percentage points."""
    low, high = evaluation.interval
    below, above = 100 * (evaluation.accuracy - low), 100 * (high - evaluation.accuracy)
    if f"{below:.1f}" == f"{above:.1f}":
        return f"±{(below + above) / 2:.2f}"
    return f"−{below:.2f} +{above:.2f}"


def reliability_text(evaluation: Evaluation) -> str:
    """`confidence ≥ 90 %: 84 % of predictions`."""
    share = evaluation.confident / evaluation.count if evaluation.confident is not None else None
    return f"confidence ≥ {format_percent(CONFIDENT, 0)}: {format_percent(share, 0)} of predictions"


def fit_text(judgement: FitJudgement, note: str, width: int) -> Content:
    """The judgement, its reasons, and the figures of the best and the last epoch; `note` says how
    the training measured them."""
    sign, colour = _SIGNS[judgement.verdict]
    verdict = Content.styled(f"{sign} {judgement.verdict}", f"bold {colour}")
    lines = [verdict, Content(judgement.explanation)]
    if judgement.best is not None and judgement.last is not None:
        rows = [("", "epoch", "train loss", "val loss", "train acc.", "val acc.")]
        rows += [
            (
                name,
                f"{epoch.epoch}",
                _format_loss(epoch.train_loss),
                _format_loss(epoch.val_loss),
                format_percent(epoch.train_accuracy),
                format_percent(epoch.val_accuracy),
            )
            for name, epoch in (("best", judgement.best), ("last", judgement.last))
        ]
        lines += [Content(""), Content.styled(f"measured {note}", "$foreground-muted")]
        if width < _WIDE:
            lines += [
                Content(f"{name:<11}" + "".join(f"{cell:>11}" for cell in cells))
                for name, *cells in zip(*rows, strict=True)
            ]
        else:
            lines += [
                Content(f"{name:<4}{epoch:>6}" + "".join(f"{cell:>12}" for cell in cells))
                for name, epoch, *cells in rows
            ]
    return Content("\n").join(lines)


def _format_loss(loss: float | None) -> str:
    return f"{loss:.4f}" if loss is not None else NO_VALUE

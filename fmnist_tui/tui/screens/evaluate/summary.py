"""What Evaluate says of an evaluation and of a run's fit, in words."""

from __future__ import annotations

from textual.content import Content

from fmnist_tui.analysis.metrics import Evaluation, ReliabilityBin
from fmnist_tui.analysis.overfitting import EARLY, GOOD, OVER, UNDER, UNTRAINED, FitJudgement
from fmnist_tui.util.formatting import format_percent

_SIGNS = {
    GOOD: ("✓", "$success"),
    OVER: ("▲", "$error"),
    UNDER: ("▼", "$warning"),
    EARLY: ("…", "$foreground-muted"),
    UNTRAINED: ("–", "$foreground-muted"),
}
_SURE = 0.9
_SIDE_BY_SIDE = 62


def figures(found: Evaluation) -> list[Content]:
    """`accuracy 91.87 % ±0.54 (95 %)  macro F1 91.80 %  ECE 1.20 %  loss 0.2345`."""
    return [
        Content.assemble(
            "accuracy ",
            (format_percent(found.accuracy), "bold $accent"),
            f" {margin(found)} (95 %)",
        ),
        Content(f"macro F1 {format_percent(found.macro_f1)}"),
        Content(f"ECE {format_percent(found.ece)}"),
        Content(f"loss {found.loss:.4f}"),
    ]


def margin(found: Evaluation) -> str:
    """The 95 % interval of the accuracy as a distance from it, in points."""
    low, high = found.interval
    below, above = 100 * (found.accuracy - low), 100 * (high - found.accuracy)
    if f"{below:.1f}" == f"{above:.1f}":
        return f"±{(below + above) / 2:.2f}"
    return f"−{below:.2f} +{above:.2f}"


def reliability(found: Evaluation) -> str:
    """What the curve rests on, in words."""
    sure = sum(part.count for part in found.reliability if part.confidence >= _SURE)
    return f"{100 * sure / found.count:.0f} % of answers are at least {100 * _SURE:.0f} % sure"


def curve(bins: tuple[ReliabilityBin, ...]) -> tuple[list[float], list[float]]:
    """The bins as the points of a line."""
    return [part.confidence for part in bins], [part.accuracy for part in bins]


def fit(found: FitJudgement, width: int) -> Content:
    """The judgement, its reasons, and the figures of the best and the last epoch."""
    sign, colour = _SIGNS[found.verdict]
    lines = [Content.styled(f"{sign} {found.verdict}", f"bold {colour}"), Content(found.words)]
    if found.best is not None and found.last is not None:
        titles = ("", "epoch", "train loss", "val loss", "train acc.", "val acc.")
        rows = [
            (
                name,
                f"{epoch.epoch}",
                _loss(epoch.train_loss),
                _loss(epoch.val_loss),
                format_percent(epoch.train_accuracy),
                format_percent(epoch.val_accuracy),
            )
            for name, epoch in (("best", found.best), ("last", found.last))
        ]
        table = [titles, *rows]
        if width < _SIDE_BY_SIDE:
            table = list(zip(*table, strict=True))
        lines.append(Content(""))
        lines += [
            Content(f"{row[0]:<11}" + "".join(f"{cell:>11}" for cell in row[1:]))
            if width < _SIDE_BY_SIDE
            else Content(f"{row[0]:<4}{row[1]:>6}" + "".join(f"{cell:>12}" for cell in row[2:]))
            for row in table
        ]
    return Content("\n").join(lines)


def _loss(loss: float | None) -> str:
    return f"{loss:.4f}" if loss is not None else "–"

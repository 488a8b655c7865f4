"""The figures of a run on one split: from its predictions, or from what its record kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.analysis.metrics import ClassScore, ReliabilityBin, class_scores
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.protocol.events import Evaluated
from fmnist_tui.util.errors import UserError

PAIRS = 10


@dataclass(frozen=True, slots=True)
class SplitScores:
    """`epoch` is that of the checkpoint, where the record says; `reliability` is empty where
    single predictions were not kept. Shares are fractions."""

    split: str
    checkpoint: str
    epoch: int | None
    count: int
    loss: float
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    ece: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...] = ()

    @property
    def wrong(self) -> int:
        return self.count - sum(row[place] for place, row in enumerate(self.confusion))

    def pairs(self, limit: int = PAIRS) -> list[tuple[int, int, int]]:
        """The largest (true, predicted, count) off the diagonal."""
        found = [
            (true, said, count)
            for true, row in enumerate(self.confusion)
            for said, count in enumerate(row)
            if true != said and count
        ]
        return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))[:limit]


def of_predictions(predictions: Predictions, verdict: Evaluated | None) -> SplitScores | None:
    """The figures anew from every prediction; `verdict` tells which epoch they are of."""
    if not len(predictions.labels):
        return None
    found = predictions.evaluation()
    epoch = verdict.epoch if verdict is not None else None
    return SplitScores(
        predictions.split,
        predictions.checkpoint,
        epoch,
        found.count,
        found.loss,
        found.accuracy,
        found.interval,
        found.macro_f1,
        found.ece,
        found.classes,
        found.confusion,
        found.reliability,
    )


def of_event(verdict: Evaluated, names: Sequence[str]) -> SplitScores:
    """The figures as the record has them."""
    matrix = verdict.confusion
    if len(matrix) != len(names) or any(len(row) != len(names) for row in matrix):
        raise UserError(
            f"the record's verdict on {verdict.split} is damaged: its matrix does not fit the"
            f" {len(names)} classes; `fmnist-tui evaluate` makes it anew"
        )
    return SplitScores(
        verdict.split,
        verdict.checkpoint,
        verdict.epoch,
        verdict.count,
        verdict.loss,
        verdict.accuracy,
        (verdict.accuracy_low, verdict.accuracy_high),
        verdict.macro_f1,
        verdict.ece,
        class_scores(matrix, names),
        matrix,
    )

"""A run's figures on one split: computed from its predictions, or read from its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.analysis.metrics import Evaluation, compute_class_scores
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.protocol.events import Evaluated
from fmnist_tui.util.errors import UserError


@dataclass(frozen=True, slots=True)
class SplitScores:
    """`epoch` is the checkpoint's, if recorded. Without stored predictions the evaluation has no
    `reliability` bins."""

    split: str
    checkpoint: str
    epoch: int | None
    evaluation: Evaluation


def scores_from_predictions(
    predictions: Predictions, recorded: Evaluated | None
) -> SplitScores | None:
    """Computed from every prediction."""
    if not len(predictions.labels):
        return None
    epoch = predictions.epoch
    if epoch is None and recorded is not None:
        # Predictions of earlier versions do not tell it.
        epoch = recorded.epoch
    return SplitScores(predictions.split, predictions.checkpoint, epoch, predictions.evaluation())


def scores_from_record(recorded: Evaluated, names: Sequence[str]) -> SplitScores:
    """The scores of an evaluation in the record of the run."""
    confusion = recorded.confusion
    if len(confusion) != len(names) or any(len(row) != len(names) for row in confusion):
        raise UserError(
            f"the recorded evaluation on {recorded.split} is damaged: its confusion matrix does not"
            f" match the {len(names)} classes; run `fmnist-tui evaluate` again"
        )
    classes = compute_class_scores(confusion, names)
    return SplitScores(
        recorded.split,
        recorded.checkpoint,
        recorded.epoch,
        Evaluation(
            count=recorded.count,
            loss=recorded.loss,
            accuracy=recorded.accuracy,
            interval=(recorded.accuracy_low, recorded.accuracy_high),
            classes=classes,
            macro_precision=sum(score.precision for score in classes) / max(1, len(classes)),
            macro_recall=sum(score.recall for score in classes) / max(1, len(classes)),
            macro_f1=recorded.macro_f1,
            ece=recorded.ece,
            reliability=(),
            confusion=confusion,
        ),
    )

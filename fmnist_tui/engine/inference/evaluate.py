"""Judging a classifier on a split: the figures, and every prediction behind them."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.inference.classifier import EVAL_BATCH_SIZE, Classifier, OnTick, no_op
from fmnist_tui.protocol.events import Evaluated
from fmnist_tui.util.progress import Tell


@dataclass(frozen=True, slots=True)
class SplitEvaluation:
    """A checkpoint's figures on a split with the predictions they come from."""

    evaluation: Evaluation
    predictions: Predictions
    checkpoint: str
    step: int
    epoch: int

    def to_event(self) -> Evaluated:
        """The verdict as a run's record keeps it."""
        found = self.evaluation
        return Evaluated(
            t=time.time(),
            step=self.step,
            epoch=self.epoch,
            checkpoint=self.checkpoint,
            split=self.predictions.split,
            count=found.count,
            loss=found.loss,
            accuracy=found.accuracy,
            accuracy_low=found.interval[0],
            accuracy_high=found.interval[1],
            macro_f1=found.macro_f1,
            ece=found.ece,
            confusion=found.confusion,
        )


def tick_with_progress(
    pulse: OnTick, tell: Tell, what: str, count: int, done: int, total: int
) -> OnTick:
    """A pulse that also tells how far `what`, a pass over `count` images, has come; of `total`
    images `done` are behind it."""
    begun = itertools.count(0, EVAL_BATCH_SIZE)

    def told() -> None:
        pulse()
        tell(done + min(next(begun), count), total, what)

    return told


def evaluate_split(
    classifier: Classifier,
    split: Split,
    checkpoint: str,
    step: int,
    epoch: int,
    pulse: OnTick = no_op,
) -> SplitEvaluation:
    """Ask the classifier about every image of a split and score the answers."""
    predictions = Predictions(
        split=split.name,
        logits=classifier.predict_logits(split, pulse),
        labels=split.labels,
        indices=split.indices,
        classes=classifier.info.facts.classes,
        checkpoint=checkpoint,
    )
    return SplitEvaluation(predictions.evaluation(), predictions, checkpoint, step, epoch)

"""Evaluating a classifier on a split: the figures, and every prediction behind them."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointIdentity
from fmnist_tui.engine.inference.classifier import Classifier, OnTick, no_op
from fmnist_tui.protocol.events import Evaluated
from fmnist_tui.util.progress import OnProgress


@dataclass(frozen=True, slots=True)
class SplitEvaluation:
    """A checkpoint's figures on a split with the predictions they come from.

    `notes` say what differs from when it was trained, and which damaged checkpoints were passed
    over for this one."""

    evaluation: Evaluation
    predictions: Predictions
    checkpoint: str
    step: int
    epoch: int
    notes: tuple[str, ...] = ()
    file: str = ""

    def to_event(self) -> Evaluated:
        figures = self.evaluation
        return Evaluated(
            t=time.time(),
            step=self.step,
            epoch=self.epoch,
            checkpoint=self.checkpoint,
            split=self.predictions.split,
            count=figures.count,
            loss=figures.loss,
            accuracy=figures.accuracy,
            accuracy_low=figures.interval[0],
            accuracy_high=figures.interval[1],
            macro_f1=figures.macro_f1,
            ece=figures.ece,
            confusion=figures.confusion,
            sha256=self.predictions.sha256,
            file=self.file,
        )


def tick_with_progress(
    on_tick: OnTick,
    on_progress: OnProgress,
    what: str,
    count: int,
    done: int,
    total: int,
    batch_size: int,
) -> OnTick:
    """An `on_tick` for a pass over `count` images in batches that also reports progress: of
    `total` images, `done` were processed before the pass."""
    starts = itertools.count(0, batch_size)

    def tick() -> None:
        on_tick()
        on_progress(done + min(next(starts), count), total, what)

    return tick


def evaluate_split(
    classifier: Classifier,
    split: Split,
    checkpoint: CheckpointIdentity,
    on_tick: OnTick = no_op,
    on_view: OnTick = no_op,
) -> SplitEvaluation:
    """Classify every image of a split and compute the figures."""
    predictions = Predictions(
        split=split.name,
        logits=classifier.predict_logits(split, on_tick, on_view),
        labels=split.labels,
        indices=split.indices,
        classes=classifier.info.dataset.classes,
        checkpoint=checkpoint.name,
        sha256=checkpoint.sha256,
        step=checkpoint.step,
        epoch=checkpoint.epoch,
        ids=split.ids,
    )
    evaluation = predictions.evaluation()
    name, step, epoch = checkpoint.name, checkpoint.step, checkpoint.epoch
    return SplitEvaluation(evaluation, predictions, name, step, epoch, file=checkpoint.file)

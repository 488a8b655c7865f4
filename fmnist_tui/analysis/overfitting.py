"""Judges whether a run overfits or underfits, and explains why.

Compared are the training metrics of an epoch and the validation metrics at its end. The
former are means over the epoch, on augmented images and a changing network, so that a gap
between them is underestimated rather than overestimated. Training and validation losses are
not compared with each other, because label smoothing, mixing and dropout affect only the
former; each is compared with its own earlier values.

The verdicts, in the order in which they are tried:

- *diverged*: the training has ended because its loss stopped being a number, the losses of the
  last epoch are not finite, or both are `DIVERGED_RISE` above an earlier minimum and validation
  accuracy has fallen by `ACCURACY_GAP`.
- *too early to say*: fewer than two epochs with validation, or a run that has not ended and does
  not overfit.
- *overfitting*: the validation loss of the last two epochs is `LOSS_RISE` above an earlier
  minimum while the training loss has fallen; or in the best epoch the training accuracy
  exceeds the validation accuracy by `ACCURACY_GAP` plus the uncertainty of the difference.
- *underfitting*: training accuracy is `EASY_GAP` below validation accuracy; or there is no gap
  beyond its uncertainty and `SMALL_GAP`, and the last epoch still reduced the validation loss by
  `LOSS_DROP` with a significant gain in accuracy; or more than `ERROR_SHARE` of both training and
  validation images are misclassified.
- *good*: none of these.

The uncertainty is that of the counts only (95 %, normal approximation); it ignores the
variation between seeds and the bias of selecting the best epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from fmnist_tui.analysis.metrics import Z95
from fmnist_tui.protocol.events import (
    ENSEMBLE,
    FAILED,
    LOSS_NOT_FINITE,
    WEIGHTS_NOT_FINITE,
    EpochEnded,
)
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.util.formatting import format_percent

GOOD, OVERFITTING, UNDERFITTING, DIVERGED, TOO_EARLY = (
    "good",
    "overfitting",
    "underfitting",
    "diverged",
    "too early to say",
)
# The verdict on an ensemble.
UNTRAINED = "not trained"

LOSS_RISE = 0.05
ACCURACY_GAP = 0.04
SMALL_GAP = 0.01
EASY_GAP = 0.15
ERROR_SHARE = 0.10
LOSS_DROP = 0.05
DIVERGED_RISE = 0.5


@dataclass(frozen=True, slots=True)
class FitJudgement:
    """A verdict with its explanation and the epochs that it is based on, if any."""

    verdict: str
    explanation: str
    best: EpochEnded | None = None
    last: EpochEnded | None = None


@dataclass(frozen=True, slots=True)
class _Gap:
    """Training accuracy minus validation accuracy, and half of its 95 % interval."""

    value: float
    margin: float

    def __str__(self) -> str:
        sign = "−" if self.value < 0 else "+"
        return f"{sign}{100 * abs(self.value):.1f} ± {100 * self.margin:.1f} points"


def judge_fit(state: RunState) -> FitJudgement:
    """Judge the fit of a run by its epochs; see above for the verdicts."""
    if state.started is not None and state.started.kind == ENSEMBLE:
        return FitJudgement(UNTRAINED, "The fit of each member is shown with its run.")
    epochs = [epoch for epoch in state.epochs if epoch.val_loss is not None]
    if not epochs:
        if _has_diverged(state):
            return FitJudgement(DIVERGED, "The loss stopped being a number in the first epoch.")
        explanation = (
            "This run has no validation split." if state.epochs else "No epoch has ended yet."
        )
        return FitJudgement(TOO_EARLY, explanation)
    best, last = state.best or epochs[-1], epochs[-1]
    explanation = _explain_divergence(state, epochs)
    if explanation:
        return FitJudgement(DIVERGED, explanation, best, last)
    epochs = [epoch for epoch in epochs if math.isfinite(_val(epoch))]
    if len(epochs) < 2:
        explanation = "There is only one epoch; the verdict depends on how the metrics change."
        return FitJudgement(TOO_EARLY, explanation, best, last)
    gap = _gap(best, state.started.train_count if state.started else 0)
    explanation = _explain_overfitting(epochs, best, gap)
    if explanation:
        return FitJudgement(OVERFITTING, explanation, best, last)
    if state.end is None and state.started is not None and last.epoch < state.started.epochs:
        explanation = f"Epoch {last.epoch} of {state.started.epochs}, no sign of overfitting so far"
        return FitJudgement(TOO_EARLY, f"{explanation}{_gap_note(gap)}.", best, last)
    explanation = _explain_underfitting(epochs, best, gap)
    if explanation:
        return FitJudgement(UNDERFITTING, explanation, best, last)
    return FitJudgement(
        GOOD, f"Validation keeps up with training{_gap_note(gap)}; {_trend(epochs)}.", best, last
    )


def _has_diverged(state: RunState) -> bool:
    """Whether the training ended because its loss or its weights stopped being numbers."""
    signs = (LOSS_NOT_FINITE, WEIGHTS_NOT_FINITE)
    return state.end_reason == FAILED and state.message.startswith(signs)


def _explain_divergence(state: RunState, epochs: list[EpochEnded]) -> str:
    """Why the run has diverged; empty if it has not."""
    last = epochs[-1]
    advice = "Try a lower learning rate or clip_norm = 1."
    if _has_diverged(state):
        return f"The loss stopped being a number after epoch {last.epoch}. {advice}"
    if not (math.isfinite(last.train_loss) and math.isfinite(_val(last))):
        return f"The losses are not finite any more. {advice}"
    earlier = [epoch for epoch in epochs[:-1] if math.isfinite(_val(epoch))]
    if not earlier:
        return ""
    lowest = min(earlier, key=_val)
    has_risen = last.train_loss > (1 + DIVERGED_RISE) * min(epoch.train_loss for epoch in earlier)
    has_risen &= _val(last) > (1 + DIVERGED_RISE) * _val(lowest)
    before, after = lowest.val_accuracy, last.val_accuracy
    if not has_risen or before is None or after is None or before - after < ACCURACY_GAP:
        return ""
    return (
        f"Since epoch {lowest.epoch} training and validation loss have both risen (validation: "
        f"{_val(lowest):.3f} to {_val(last):.3f}) and validation accuracy has fallen from "
        f"{format_percent(before, 1)} to {format_percent(after, 1)}. {advice}"
    )


def _explain_overfitting(epochs: list[EpochEnded], best: EpochEnded, gap: _Gap | None) -> str:
    """Why the run overfits; empty if it does not."""
    last = epochs[-1]
    lowest = min(epochs, key=_val)
    later = [epoch for epoch in epochs if epoch.epoch > lowest.epoch]
    has_risen = len(later) >= 2 and all(
        _val(epoch) > (1 + LOSS_RISE) * _val(lowest) for epoch in later[-2:]
    )
    if has_risen and last.train_loss < lowest.train_loss:
        rise = _val(last) / _val(lowest) - 1 if _val(lowest) else math.inf
        return (
            f"Since epoch {lowest.epoch} validation loss has risen by {format_percent(rise, 0)} "
            f"({_val(lowest):.3f} to {_val(last):.3f}) while training loss fell "
            f"({lowest.train_loss:.3f} to {last.train_loss:.3f}); the checkpoint with the best "
            f"accuracy is from epoch {best.epoch}. Stop earlier, augment more or regularise."
        )
    if gap is not None and gap.value - gap.margin > ACCURACY_GAP:
        return (
            f"In the best epoch ({best.epoch}) accuracy is "
            f"{format_percent(best.train_accuracy, 1)} on training images but "
            f"{format_percent(best.val_accuracy, 1)} on validation images: {gap}. "
            "Augment more, regularise or use a smaller model."
        )
    return ""


def _explain_underfitting(epochs: list[EpochEnded], best: EpochEnded, gap: _Gap | None) -> str:
    """Why the run underfits; empty if it does not."""
    before, last = epochs[-2:]
    drop = 1 - _val(last) / _val(before) if _val(before) else 0.0
    has_gap = gap is not None and gap.value - gap.margin > SMALL_GAP
    if drop > LOSS_DROP and not has_gap and last.step == best.step and _has_gained(before, last):
        return (
            f"The last epoch still reduced validation loss by {format_percent(drop, 0)} "
            f"({_val(before):.3f} to {_val(last):.3f}): the run ended too early. "
            f"Train longer.{_gap_sentence(gap)}"
        )
    train, val = best.train_accuracy, best.val_accuracy
    if gap is not None and gap.value + gap.margin < -EASY_GAP:
        return (
            f"In the best epoch ({best.epoch}) accuracy is only {format_percent(train, 1)} on "
            f"training images but {format_percent(val, 1)} on validation images: {gap}. "
            "Augmentation, dropout or wrong labels make the training images that much harder. "
            "Regularise less or train longer."
        )
    if train is not None and val is not None and 1 - max(train, val) > ERROR_SHARE:
        return (
            f"{format_percent(1 - train, 1)} of the training images and "
            f"{format_percent(1 - val, 1)} of the validation images are misclassified. Train "
            "longer, use a larger model or regularise less."
        )
    return ""


def _has_gained(before: EpochEnded, last: EpochEnded) -> bool:
    """Whether validation accuracy has grown by more than half of its 95 % interval."""
    if before.val_accuracy is None or last.val_accuracy is None or last.val_count <= 0:
        return False
    spread = last.val_accuracy * (1 - last.val_accuracy) / last.val_count
    return last.val_accuracy - before.val_accuracy > Z95 * math.sqrt(max(0.0, spread))


def _gap(epoch: EpochEnded, train_count: int) -> _Gap | None:
    """The gap; None if labels were mixed or counts are unknown."""
    train, val, count = epoch.train_accuracy, epoch.val_accuracy, epoch.val_count
    if train is None or val is None or count <= 0 or train_count <= 0:
        return None
    spread = train * (1 - train) / train_count + val * (1 - val) / count
    # At least half an image, also if all or none are right.
    return _Gap(train - val, max(Z95 * math.sqrt(max(0.0, spread)), 0.5 / count))


def _trend(epochs: list[EpochEnded]) -> str:
    losses = [_val(epoch) for epoch in epochs[-3:]]
    if all(later < earlier for earlier, later in pairwise(losses)):
        return "validation loss still falls slowly"
    return f"validation loss has settled near {min(map(_val, epochs)):.3f}"


def _gap_note(gap: _Gap | None) -> str:
    return f" (accuracy gap {gap})" if gap is not None else ""


def _gap_sentence(gap: _Gap | None) -> str:
    return f" The accuracy gap is {gap}." if gap is not None else ""


def _val(epoch: EpochEnded) -> float:
    return epoch.val_loss if epoch.val_loss is not None else math.nan

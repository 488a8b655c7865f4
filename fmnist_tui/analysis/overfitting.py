"""How well a run has fitted its data, said in plain words with the figures behind them.

What is compared are the training figures of an epoch and the validation figures at its
end. The former are means over the epoch, of images as they were shown (augmented) to a
network that was still changing: they look worse than the network is at the end of the
epoch, so that a gap found here is, if anything, too small. Losses of training and
validation are not held against each other, because label smoothing, mixing and dropout
change the one and not the other; each is compared with itself.

The judgement, in the order in which it is made:

- *too early to say*: fewer than two epochs with validation, figures that are no numbers,
  or a run still under way that does not overfit.
- *overfitting*: the validation loss of the last two epochs lies `RISE` above its least,
  which was before them, while the training loss went on falling; or, in the best epoch,
  the accuracy on training images lies ahead of that on validation images by more than
  `GAP`, after the uncertainty of the difference has been taken off.
- *underfitting*: no gap beyond chance and `NARROW`, and either the last epoch still took
  `DROP` off the validation loss and gained more accuracy than chance would, so that the
  run ended before it was done; or the network misses more than `MISSED` both of the images
  it is trained on and of new ones (small networks learn garments and digits better).
- *good*: none of these.

The uncertainty is that of the counts alone (95 %, normal approximation): another seed
moves the figures too, and validation accuracy is a little flattered by having chosen the
best epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from fmnist_tui.analysis.metrics import Z95
from fmnist_tui.protocol.events import ENSEMBLE, EpochEnded
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.util.formatting import format_percent

GOOD, OVER, UNDER, EARLY = "good", "overfitting", "underfitting", "too early to say"
# Of an ensemble, which is made of what was trained.
UNTRAINED = "not trained"

RISE = 0.05
GAP = 0.04
NARROW = 0.01
MISSED = 0.10
DROP = 0.05


@dataclass(frozen=True, slots=True)
class FitJudgement:
    """A judgement, why, and the epochs it rests on (None where there are none yet)."""

    verdict: str
    words: str
    best: EpochEnded | None = None
    last: EpochEnded | None = None


@dataclass(frozen=True, slots=True)
class _Gap:
    """Training accuracy less validation accuracy, and the half of its 95 % interval."""

    value: float
    margin: float

    def __str__(self) -> str:
        return f"{100 * self.value:+.1f} ± {100 * self.margin:.1f} points"


def judge_fit(state: RunState) -> FitJudgement:
    """What the epochs of a run say of its fit; see above for what each judgement means."""
    if state.started is not None and state.started.kind == ENSEMBLE:
        return FitJudgement(
            UNTRAINED, "How well each member has fitted its data is told with its run."
        )
    epochs = [epoch for epoch in state.epochs if epoch.val_loss is not None]
    if not epochs:
        told = "This run has no validation split." if state.epochs else "No epoch has ended yet."
        return FitJudgement(EARLY, told)
    best, last = state.best or epochs[-1], epochs[-1]
    if not all(map(math.isfinite, (last.train_loss, _val(last), _val(best)))):
        return FitJudgement(EARLY, "The losses are no numbers any more.", best, last)
    epochs = [epoch for epoch in epochs if math.isfinite(_val(epoch))]
    if len(epochs) < 2:
        told = "There is one epoch only; what matters is how the figures move."
        return FitJudgement(EARLY, told, best, last)
    gap = _gap(best, state.started.train_count if state.started else 0)
    words = _overfits(epochs, best, gap)
    if words:
        return FitJudgement(OVER, words, best, last)
    if state.end is None and state.started is not None and last.epoch < state.started.epochs:
        told = f"Epoch {last.epoch} of {state.started.epochs}, no sign of overfitting so far"
        return FitJudgement(EARLY, f"{told}{_told(gap)}.", best, last)
    words = _underfits(epochs, best, gap)
    if words:
        return FitJudgement(UNDER, words, best, last)
    return FitJudgement(
        GOOD, f"Validation keeps up with training{_told(gap)}; {_trend(epochs)}.", best, last
    )


def _overfits(epochs: list[EpochEnded], best: EpochEnded, gap: _Gap | None) -> str:
    last = epochs[-1]
    least = min(epochs, key=_val)
    since = [epoch for epoch in epochs if epoch.epoch > least.epoch]
    risen = len(since) >= 2 and all(_val(epoch) > (1 + RISE) * _val(least) for epoch in since[-2:])
    if risen and last.train_loss < least.train_loss:
        rise = _val(last) / _val(least) - 1 if _val(least) else math.inf
        return (
            f"Since epoch {least.epoch} validation loss has risen by {format_percent(rise, 0)} "
            f"({_val(least):.3f} to {_val(last):.3f}) while training loss fell "
            f"({least.train_loss:.3f} to {last.train_loss:.3f}); the checkpoint with the best "
            f"accuracy is of epoch {best.epoch}. Stop earlier, augment more or regularise."
        )
    if gap is not None and gap.value - gap.margin > GAP:
        return (
            f"In the best epoch ({best.epoch}) it is right on "
            f"{format_percent(best.train_accuracy, 1)} of the images it learns from but on "
            f"{format_percent(best.val_accuracy, 1)} of those it does not: {gap}. "
            "Augment more, regularise or take a smaller model."
        )
    return ""


def _underfits(epochs: list[EpochEnded], best: EpochEnded, gap: _Gap | None) -> str:
    if gap is not None and gap.value - gap.margin > NARROW:
        return ""
    before, last = epochs[-2:]
    drop = 1 - _val(last) / _val(before) if _val(before) else 0.0
    if drop > DROP and last.step == best.step and _gained(before, last):
        return (
            f"The last epoch still took {format_percent(drop, 0)} off validation loss "
            f"({_val(before):.3f} to {_val(last):.3f}): it ended before it was done. "
            f"Train longer.{_aside(gap)}"
        )
    train, val = best.train_accuracy, best.val_accuracy
    if train is not None and val is not None and 1 - max(train, val) > MISSED:
        return (
            f"It misses {format_percent(1 - train, 1)} of the very images it learns from and "
            f"{format_percent(1 - val, 1)} of new ones. Train longer, take a larger model or "
            "regularise less."
        )
    return ""


def _gained(before: EpochEnded, last: EpochEnded) -> bool:
    """Whether validation accuracy has grown by more than the half of its 95 % interval."""
    if before.val_accuracy is None or last.val_accuracy is None or last.val_count <= 0:
        return False
    spread = last.val_accuracy * (1 - last.val_accuracy) / last.val_count
    return last.val_accuracy - before.val_accuracy > Z95 * math.sqrt(max(0.0, spread))


def _gap(epoch: EpochEnded, train_count: int) -> _Gap | None:
    """None where labels were mixed, or counts are not known."""
    train, val, count = epoch.train_accuracy, epoch.val_accuracy, epoch.val_count
    if train is None or val is None or count <= 0 or train_count <= 0:
        return None
    spread = train * (1 - train) / train_count + val * (1 - val) / count
    # Half an image's worth is left where all or none are right.
    return _Gap(train - val, max(Z95 * math.sqrt(max(0.0, spread)), 0.5 / count))


def _trend(epochs: list[EpochEnded]) -> str:
    losses = [_val(epoch) for epoch in epochs[-3:]]
    if all(later < earlier for earlier, later in pairwise(losses)):
        return "validation loss still falls slowly"
    return f"validation loss has settled near {min(map(_val, epochs)):.3f}"


def _told(gap: _Gap | None) -> str:
    return f" (training less validation accuracy {gap})" if gap is not None else ""


def _aside(gap: _Gap | None) -> str:
    return f" Training less validation accuracy is {gap}." if gap is not None else ""


def _val(epoch: EpochEnded) -> float:
    return epoch.val_loss if epoch.val_loss is not None else math.nan

"""Verdicts on the fit of a run, and their explanations."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest

from fmnist_tui.analysis.overfitting import (
    DIVERGED,
    GOOD,
    OVERFITTING,
    TOO_EARLY,
    UNDERFITTING,
    UNTRAINED,
    FitJudgement,
    judge_fit,
)
from fmnist_tui.protocol.events import (
    ENSEMBLE,
    FAILED,
    FINISHED,
    LOSS_NOT_FINITE,
    EpochEnded,
    RunEnded,
)
from fmnist_tui.protocol.run_state import RunState
from tests.unit.support import started

# train loss, train accuracy, validation loss, validation accuracy
Epoch = tuple[float, float | None, float | None, float | None]


def state(
    epochs: Sequence[Epoch],
    *,
    ended: bool = True,
    train: int = 50_000,
    val: int = 10_000,
    planned: int | None = None,
) -> RunState:
    result = RunState()
    result.apply(
        dataclasses.replace(
            started(0.0, epochs=planned or len(epochs), steps=10), train_count=train, val_count=val
        )
    )
    best = -1.0
    for number, (train_loss, train_accuracy, val_loss, val_accuracy) in enumerate(epochs, 1):
        is_best = val_accuracy is not None and val_accuracy > best
        best = max(best, val_accuracy or -1.0)
        result.apply(
            EpochEnded(
                t=float(number),
                step=10 * number,
                epoch=number,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                val_loss=val_loss,
                val_accuracy=val_accuracy,
                val_count=val,
                lr=1e-3,
                seconds=1.0,
                images_per_second=1.0,
                best=is_best,
            )
        )
    if ended:
        result.apply(RunEnded(99.0, 10 * len(epochs), len(epochs), FINISHED, 99.0))
    return result


SETTLED: list[Epoch] = [
    (0.60, 0.80, 0.40, 0.86),
    (0.35, 0.88, 0.32, 0.89),
    (0.28, 0.91, 0.28, 0.905),
    (0.25, 0.92, 0.272, 0.908),
    (0.23, 0.925, 0.268, 0.910),
]


def fit(*epochs: Epoch) -> FitJudgement:
    return judge_fit(state(epochs))


def test_an_ensemble_has_no_verdict_of_its_own() -> None:
    result = state([])
    assert result.started is not None
    result.apply(dataclasses.replace(result.started, kind=ENSEMBLE))
    judgement = judge_fit(result)
    assert judgement.verdict == UNTRAINED and "member" in judgement.explanation


def test_a_run_whose_validation_keeps_up_with_training_is_good() -> None:
    judgement = fit(*SETTLED)
    assert judgement.verdict == GOOD
    assert "+1.5" in judgement.explanation  # 92.5 % less 91.0 %


def test_a_judgement_names_the_best_and_the_last_epoch() -> None:
    judgement = fit(*SETTLED, (0.22, 0.93, 0.27, 0.905))
    assert judgement.best is not None and judgement.best.epoch == 5
    assert judgement.last is not None and judgement.last.epoch == 6


def test_rising_validation_loss_with_falling_training_loss_is_overfitting() -> None:
    judgement = fit(*SETTLED, (0.15, 0.95, 0.285, 0.909), (0.08, 0.97, 0.32, 0.908))
    assert judgement.verdict == OVERFITTING
    # From which epoch, from what to what, and by how much.
    for figure in ("epoch 5", "0.268", "0.320", "19 %"):
        assert figure in judgement.explanation


def test_one_bad_epoch_is_not_overfitting() -> None:
    assert fit(*SETTLED, (0.22, 0.93, 0.40, 0.90)).verdict == GOOD
    assert fit(*SETTLED, (0.22, 0.93, 0.40, 0.90), (0.21, 0.93, 0.27, 0.909)).verdict == GOOD


def test_rising_validation_loss_with_rising_training_loss_is_not_overfitting() -> None:
    worse = fit(*SETTLED, (0.40, 0.88, 0.40, 0.87), (0.50, 0.85, 0.45, 0.85))
    assert worse.verdict != OVERFITTING


def test_a_gap_in_accuracy_beyond_its_uncertainty_is_overfitting() -> None:
    gap: list[Epoch] = [(0.5, 0.85, 0.50, 0.85), (0.05, 0.99, 0.45, 0.88)]
    judgement = judge_fit(state(gap))
    assert judgement.verdict == OVERFITTING
    assert "+11.0" in judgement.explanation and "99.0 %" in judgement.explanation
    # The same values for a handful of images are not significant.
    assert judge_fit(state(gap, train=40, val=20)).verdict != OVERFITTING


def test_a_run_that_ended_while_still_improving_is_underfitting() -> None:
    judgement = fit((0.6, 0.80, 0.45, 0.85), (0.4, 0.86, 0.36, 0.88), (0.32, 0.89, 0.30, 0.905))
    assert judgement.verdict == UNDERFITTING
    assert "17 %" in judgement.explanation


def test_an_insignificant_last_gain_is_not_underfitting() -> None:
    tiny: list[Epoch] = [(0.10, 0.97, 0.046, 0.985), (0.05, 0.99, 0.041, 0.987)]
    assert judge_fit(state(tiny, val=833)).verdict == GOOD


def test_low_training_accuracy_is_underfitting() -> None:
    judgement = fit((0.70, 0.78, 0.66, 0.78), (0.62, 0.80, 0.63, 0.80), (0.61, 0.80, 0.62, 0.801))
    assert judgement.verdict == UNDERFITTING
    assert "20.0 %" in judgement.explanation


def test_fewer_than_two_epochs_are_too_early() -> None:
    assert judge_fit(RunState()).verdict == TOO_EARLY
    assert fit(SETTLED[0]).verdict == TOO_EARLY


def test_a_run_without_validation_is_reported() -> None:
    judgement = fit((0.5, 0.8, None, None), (0.4, 0.9, None, None))
    assert judgement.verdict == TOO_EARLY
    assert "no validation" in judgement.explanation


def test_a_live_run_is_too_early_unless_it_overfits() -> None:
    assert judge_fit(state(SETTLED, ended=False, planned=20)).verdict == TOO_EARLY
    rising: list[Epoch] = [*SETTLED, (0.15, 0.95, 0.285, 0.909), (0.08, 0.97, 0.32, 0.908)]
    assert judge_fit(state(rising, ended=False, planned=20)).verdict == OVERFITTING


def test_with_mixed_labels_only_the_trend_is_judged() -> None:
    mixed: list[Epoch] = [(loss, None, val, share) for loss, _, val, share in SETTLED]
    judgement = judge_fit(state(mixed))
    assert judgement.verdict == GOOD
    assert "accuracy gap" not in judgement.explanation


def test_training_accuracy_far_below_validation_is_underfitting() -> None:
    judgement = fit((2.3, 0.10, 0.20, 0.95), (2.3, 0.10, 0.15, 0.96), (2.3, 0.10, 0.15, 0.961))
    assert judgement.verdict == UNDERFITTING
    for figure in ("10.0 %", "96.1 %", "−86.1"):
        assert figure in judgement.explanation
    # Augmentation makes training images somewhat harder.
    assert fit(*((loss, 0.85, val, share) for loss, _, val, share in SETTLED)).verdict == GOOD


def test_many_misclassified_images_are_not_good_because_of_a_small_gap() -> None:
    assert fit((2.2, 0.11, 2.3, 0.10), (2.2, 0.12, 2.3, 0.10)).verdict == UNDERFITTING


def test_a_run_whose_losses_have_both_risen_has_diverged() -> None:
    judgement = fit(*SETTLED, (2.30, 0.10, 2.31, 0.10), (2.30, 0.10, 2.30, 0.10))
    assert judgement.verdict == DIVERGED
    for figure in ("epoch 5", "0.268", "2.300", "91.0 %", "10.0 %"):
        assert figure in judgement.explanation


def test_a_run_that_failed_by_its_loss_has_diverged() -> None:
    for epochs, when in ((SETTLED, "after epoch 5"), ([], "in the first epoch")):
        run = state(epochs, ended=False, planned=9)
        message = f"{LOSS_NOT_FINITE} near step 55"
        run.apply(RunEnded(9.0, 55, len(epochs), FAILED, 9.0, message))
        judgement = judge_fit(run)
        assert judgement.verdict == DIVERGED and when in judgement.explanation


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_run_whose_losses_are_not_finite_has_diverged(bad: float) -> None:
    assert fit(*SETTLED, (bad, 0.1, bad, 0.1)).verdict == DIVERGED
    # One such epoch in between does not spoil the rest.
    assert fit(*SETTLED[:2], (0.3, 0.9, bad, 0.2), *SETTLED[2:]).verdict == GOOD


def test_a_validation_loss_of_zero_is_handled() -> None:
    perfect: list[Epoch] = [(0.1, 0.99, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0)]
    assert judge_fit(state(perfect)).verdict == GOOD

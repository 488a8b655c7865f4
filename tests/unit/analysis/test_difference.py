"""Whether a difference between two accuracies is more than chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.analysis.difference import (
    compare_binomial,
    compare_paired,
    compare_seeds,
)
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.analysis.seeds import mean_of_curves
from fmnist_tui.analysis.verdict import Side, SplitResult, judge


def predictions(right: np.ndarray) -> Predictions:
    labels = np.arange(len(right)) % 2
    answers = np.where(right, labels, 1 - labels)
    logits = np.eye(2, dtype=np.float32)[answers]
    return Predictions("test", logits, labels, np.arange(len(right)), ("a", "b"))


def pair(both: int, first_alone: int, second_alone: int, neither: int) -> list[Predictions]:
    counts = (both, first_alone, second_alone, neither)
    return [
        predictions(np.repeat(right, counts))
        for right in ([True, True, False, False], [True, False, True, False])
    ]


@pytest.mark.parametrize(
    ("first", "second", "p"),
    # The exact two-sided binomial test of SciPy
    [(5, 3, 0.7265625), (31, 70, 0.00013082231), (0, 5, 0.0625), (0, 6, 0.03125), (0, 0, 1.0)],
)
def test_mcnemar_is_exact_and_counts_images_that_only_one_has_right(
    first: int, second: int, p: float
) -> None:
    difference = compare_paired(*pair(800, first, second, 50))
    assert difference is not None
    assert difference.p == pytest.approx(p)
    assert difference.value == pytest.approx((second - first) / (850 + first + second))
    assert f"right {first} and {second}" in difference.method


def test_predictions_of_other_images_are_not_paired() -> None:
    first, second = pair(80, 3, 5, 2)
    ids = np.arange(90, dtype=np.uint64)
    for other in (
        predictions(np.ones(89, bool)),
        replace(second, indices=second.indices + 1),
        replace(second, classes=("a", "c")),
    ):
        assert compare_paired(first, other) is None
    assert compare_paired(replace(first, ids=ids), replace(second, ids=ids + 1)) is None


def test_the_binomial_error_is_that_of_a_difference() -> None:
    difference = compare_binomial(0.90, 10_000, 0.91, 10_000)
    assert "±0.81 points (95 %)" in difference.method
    assert difference.p == pytest.approx(0.0157, abs=0.0005) and difference.is_significant
    assert not compare_binomial(0.90, 1_000, 0.91, 1_000).is_significant
    assert compare_binomial(1.0, 10, 1.0, 10).p == 1.0


@pytest.mark.parametrize(
    ("first", "second", "p"),
    # scipy.stats.ttest_ind(equal_var=False)
    [((0.90, 0.91, 0.92), (0.93, 0.94, 0.96), 0.041915), ((0.9, 0.92), (0.91, 0.95), 0.493133)],
)
def test_means_of_seeds_are_compared_by_welchs_test(
    first: tuple[float, ...], second: tuple[float, ...], p: float
) -> None:
    assert compare_seeds(first, second).p == pytest.approx(p, abs=0.001)


def test_a_single_run_is_compared_with_what_another_seed_may_give() -> None:
    seeds = (0.90, 0.91, 0.92)
    assert not compare_seeds(seeds, [0.94]).is_significant
    assert compare_seeds(seeds, [0.99]).is_significant
    assert compare_seeds([0.99], seeds).value == pytest.approx(-0.08)


def test_a_verdict_names_the_split_the_count_and_the_test(tmp_path: Path) -> None:
    def side(name: str, test: Predictions | None, dataset: str = "fashion") -> Side:
        path = tmp_path / f"{name}.npz"
        if test is not None:
            test.save(path)
        results = {"test": (SplitResult(0.9, 1000, path),), "val": (SplitResult(0.5, 100, path),)}
        return Side(name, dataset, results)

    first, second = pair(880, 20, 43, 57)
    verdict = judge(side("1", first), side("2", second))
    assert verdict.text == "2 − 1: +2.30 points on test, beyond the error"
    assert verdict.method.startswith("McNemar's test on the same 1,000 images")
    verdict = judge(side("1", first), side("3", None))
    assert verdict.text == "3 − 1: +0.00 points on test, within the error"
    assert verdict.method.startswith("binomial error of the difference ±2.63 points")
    assert "1,000 images" in verdict.method and "without the predictions" in verdict.method
    assert "not comparable" in judge(side("1", first), side("4", second, "mnist")).text
    assert "not comparable yet" in judge(side("1", first), Side("5", "fashion", {})).text


def test_the_mean_of_curves_has_the_sd_of_a_sample_and_ends_with_the_shortest() -> None:
    same = mean_of_curves([[(1, 0.2), (2, 0.6)], [(1, 0.4), (2, 0.6)]])
    assert same.xs == (1.0, 2.0) and same.ys == pytest.approx((0.3, 0.6))
    assert np.subtract(same.high, same.ys) == pytest.approx((0.02**0.5, 0))
    other = mean_of_curves([[(0, 0.0), (4, 4.0)], [(1, 3.0), (2, 4.0), (3, 5.0)]])
    assert (other.xs[0], other.xs[-1]) == (1.0, 3.0)
    assert other.ys[0] == pytest.approx(2.0) and other.ys[-1] == pytest.approx(4.0)

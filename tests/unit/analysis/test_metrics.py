"""Metrics of classifiers, against small cases computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.analysis.metrics import (
    compute_calibration,
    compute_class_scores,
    compute_metrics,
    grouped_accuracy,
    mean_loss,
    softmax,
    wilson_interval,
)
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.util.errors import UserError

NAMES = ("a", "b", "c")
SHARES = np.array(
    [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.1, 0.5, 0.4]]
)
LABELS = np.array([0, 1, 1, 2, 2])


def test_metrics_of_a_small_case_match_those_computed_by_hand() -> None:
    evaluation = compute_metrics(SHARES, LABELS, NAMES)
    assert evaluation.confusion == ((1, 0, 0), (1, 1, 0), (0, 1, 1))
    assert evaluation.accuracy == pytest.approx(3 / 5)
    assert [score.precision for score in evaluation.classes] == pytest.approx([1 / 2, 1 / 2, 1])
    assert [score.recall for score in evaluation.classes] == pytest.approx([1, 1 / 2, 1 / 2])
    assert [score.f1 for score in evaluation.classes] == pytest.approx([2 / 3, 1 / 2, 2 / 3])
    assert evaluation.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert [score.support for score in evaluation.classes] == [1, 2, 2]
    assert evaluation.loss == pytest.approx(-np.log([0.8, 0.7, 0.3, 0.7, 0.4]).mean())
    assert evaluation.wrong == 2
    assert evaluation.most_confused() == [(1, 0, 1), (2, 1, 1)]


def test_the_loss_of_certain_answers_is_0_without_a_sign() -> None:
    for certain in ([1.0, 1.0], [1.0000001, 1.0]):
        assert str(mean_loss(np.array(certain))) == "0.0"


def test_confident_answers_are_counted_one_by_one() -> None:
    # 0.88 and 0.92 share a bin, whose mean is 0.9.
    shares = np.array([[0.88, 0.12], [0.92, 0.08], [0.9, 0.1]])
    assert compute_metrics(shares, np.zeros(3, int), ("a", "b")).confident == 2


def test_a_class_without_images_or_predictions_scores_zero_without_a_warning() -> None:
    evaluation = compute_metrics(np.array([[0.9, 0.1, 0.0]]), np.array([0]), NAMES)
    assert [score.f1 for score in evaluation.classes] == [1, 0, 0]


def test_evaluating_no_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        compute_metrics(np.zeros((0, 3)), np.zeros(0, int), NAMES)


def test_the_wilson_interval_matches_published_values() -> None:
    assert wilson_interval(9180, 10_000) == pytest.approx((0.91246, 0.92322), abs=1e-5)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson_interval(10, 10)[1] == 1.0


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_contains_the_share_and_stays_between_0_and_1(case: tuple[int, int]) -> None:
    low, high = wilson_interval(*case)
    assert 0 <= low <= case[0] / case[1] <= high <= 1


def test_calibration_error_is_the_weighted_gap_between_confidence_and_accuracy() -> None:
    shares = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 9 + [1] + [0] * 3 + [1] * 7)
    error, bins = compute_calibration(shares, labels)
    assert error == pytest.approx(0.5 * 0.0 + 0.5 * 0.3)
    assert [(part.count, round(part.accuracy, 2)) for part in bins] == [(10, 0.3), (10, 0.9)]


def test_softmax_sums_to_one_and_handles_large_logits() -> None:
    shares = softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3)]]))
    assert shares == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


def test_grouped_accuracy_ignores_errors_within_a_group() -> None:
    predicted, true = np.array([0, 1, 2, 3]), np.array([1, 0, 3, 0])
    assert grouped_accuracy(predicted, true, (0, 0, 1, 1)) == 0.75


def _predictions() -> Predictions:
    return Predictions(
        "test",
        np.log(SHARES).astype(np.float32),
        LABELS.astype(np.int64),
        np.arange(100, 105),
        NAMES,
        "best",
    )


def test_saved_predictions_are_loaded_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "test.npz"
    _predictions().save(path)
    loaded = Predictions.load(path)
    assert loaded.evaluation() == _predictions().evaluation()
    assert (loaded.split, loaded.checkpoint, loaded.classes) == ("test", "best", NAMES)
    assert (loaded.sha256, loaded.step, loaded.epoch) == ("", None, None)
    known = replace(_predictions(), sha256="ab", step=12, epoch=3)
    known.save(path)
    loaded = Predictions.load(path)
    assert (loaded.sha256, loaded.step, loaded.epoch) == ("ab", 12, 3)


def test_predictions_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    path, saved = tmp_path / "test.npz", _predictions()
    old = ("split", "logits", "labels", "indices", "classes", "checkpoint")
    np.savez(path, allow_pickle=False, **{name: getattr(saved, name) for name in old})
    loaded = Predictions.load(path)
    assert loaded.evaluation() == saved.evaluation()
    assert (loaded.checkpoint, loaded.sha256, loaded.step) == ("best", "", None)


def test_misclassified_images_are_ordered_and_filtered() -> None:
    predictions = _predictions()
    by_confidence = predictions.find_misses()
    assert [(miss.index, miss.true, miss.predicted) for miss in by_confidence] == [
        (102, 1, 0),
        (104, 2, 1),
    ]
    assert by_confidence[0].probability == pytest.approx(0.6)
    assert [miss.index for miss in predictions.find_misses(order="loss")] == [102, 104]
    assert [miss.index for miss in predictions.find_misses(true=2)] == [104]
    assert [miss.index for miss in predictions.find_misses(predicted=0)] == [102]
    assert [miss.index for miss in predictions.find_misses(true=0, predicted=0)] == [100], (
        "a correct pair"
    )


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "pickled", "short"])
def test_damaged_predictions_are_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "test.npz"
    if damage != "missing":
        _predictions().save(path)
    if damage == "empty":
        path.write_bytes(b"")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    if damage == "pickled":
        np.savez(path, logits=np.array([object()], dtype=object))
    if damage == "short":
        predictions = _predictions()
        Predictions(
            "test", predictions.logits[:3], predictions.labels, predictions.indices, NAMES
        ).save(path)
    with pytest.raises(UserError) as caught:
        Predictions.load(path)
    assert "test.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_predictions_that_cannot_be_read_are_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r": cannot be read: Is a directory$"):
        Predictions.load(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    path = tmp_path / "test.npz"
    _predictions().save(path)
    monkeypatch.setattr(np, "load", fail)
    with pytest.raises(UserError, match="not enough memory"):
        Predictions.load(path)


def test_no_changed_byte_of_predictions_is_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    _predictions().save(path)
    data, refused = path.read_bytes(), 0
    for position in range(0, len(data), 5):
        changed = bytearray(data)
        changed[position] ^= 0x81
        path.write_bytes(changed)
        try:
            Predictions.load(path)
        except UserError:
            refused += 1
    assert refused > len(data) // 20


def test_class_scores_from_a_confusion_matrix_match_those_from_predictions() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, 200)
    shares = random.random((200, 5))
    shares[:, 3] = 0.0
    names = ("a", "b", "c", "never predicted", "not there")
    metrics = compute_metrics(shares / shares.sum(1, keepdims=True), labels, names)
    scores = compute_class_scores(metrics.confusion, names)
    for score, expected in zip(scores, metrics.classes, strict=True):
        assert (score.name, score.support) == (expected.name, expected.support)
        assert score.precision == pytest.approx(expected.precision)
        assert score.recall == pytest.approx(expected.recall)
        assert score.f1 == pytest.approx(expected.f1)

"""Cached evaluations: loaded once, reloaded when the file changes."""

from __future__ import annotations

import random
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.engine.inference.evaluate import SplitEvaluation
from fmnist_tui.engine.session.session import Session
from fmnist_tui.tui.state.evaluation_cache import EvaluationCache
from fmnist_tui.util.errors import UserError
from tests.tui.support import make_run, predictions


def make_evaluation(split: str = "val", seed: int = 3) -> SplitEvaluation:
    loaded = replace(predictions(split, seed=seed), step=60, epoch=3)
    return SplitEvaluation(loaded.evaluation(), loaded, "best", 60, 3)


class FakeSession:
    """A session whose evaluations the test completes."""

    def __init__(self) -> None:
        self.futures: list[Future[SplitEvaluation]] = []

    def evaluate(self, *_: Any) -> Future[SplitEvaluation]:
        self.futures.append(Future())
        return self.futures[-1]

    @property
    def session(self) -> Session:
        return cast(Session, self)


def test_predictions_are_read_once(tmp_path: Path) -> None:
    folder, cache = make_run(tmp_path), EvaluationCache()
    assert cache.get(folder, "val") is None
    loaded = cache.load(folder, "val")
    assert loaded is not None and loaded.evaluation.count == 300
    assert cache.load(folder, "val") is loaded
    assert cache.get(folder, "val") is loaded


def test_changed_predictions_are_read_again(tmp_path: Path) -> None:
    folder, cache = make_run(tmp_path), EvaluationCache()
    before = cache.load(folder, "val")
    predictions("val", count=200, seed=1).save(folder.predictions / "val.npz")
    assert cache.get(folder, "val") is None
    after = cache.load(folder, "val")
    assert after is not before
    assert after is not None and after.evaluation.count == 200


def test_a_run_without_predictions_has_no_evaluation(tmp_path: Path) -> None:
    folder, cache = make_run(tmp_path, splits=()), EvaluationCache()
    assert cache.load(folder, "val") is None
    assert not cache.has_predictions(folder, "val")
    assert cache.split(folder) == "val"


def test_the_default_split_is_test_if_it_was_read_and_a_chosen_split_is_kept(
    tmp_path: Path,
) -> None:
    folder, cache = make_run(tmp_path), EvaluationCache()
    assert cache.split(folder) == "test"
    cache.choose_split(folder, "train")
    assert cache.split(folder) == "train"


def test_predictions_of_the_last_checkpoint_are_used_if_there_are_none_of_the_best(
    tmp_path: Path,
) -> None:
    folder, cache = make_run(tmp_path, splits=()), EvaluationCache()
    predictions("val").save(folder.predictions / "val-last.npz")
    assert cache.load(folder, "val") is not None


def test_the_evaluated_step_is_read_from_the_events(tmp_path: Path) -> None:
    folder, cache = make_run(tmp_path), EvaluationCache()
    loaded = cache.load(folder, "test")
    assert loaded is not None
    assert loaded.trained_until(None) is None
    assert loaded.trained_until(cache.load_state(folder)) == (80, 4)
    assert cache.load_state(folder) is cache.load_state(folder)


def test_an_evaluation_of_the_session_is_cached_without_a_file(tmp_path: Path) -> None:
    folder, cache, fake = make_run(tmp_path, splits=()), EvaluationCache(), FakeSession()
    future = cache.evaluate(fake.session, folder, "val")
    assert cache.started_at(folder, "val") is not None
    fake.futures[0].set_result(make_evaluation())
    loaded = future.result(1)
    assert loaded.trained_until(None) == (60, 3)
    assert cache.started_at(folder, "val") is None
    assert cache.load(folder, "val") is loaded
    assert cache.has_predictions(folder, "val")


def test_a_newer_file_replaces_an_evaluation_of_the_session(tmp_path: Path) -> None:
    folder, cache, fake = make_run(tmp_path, splits=()), EvaluationCache(), FakeSession()
    future = cache.evaluate(fake.session, folder, "val")
    fake.futures[0].set_result(make_evaluation())
    predictions("val", count=120).save(folder.predictions / "val.npz")
    loaded = cache.load(folder, "val")
    assert loaded is not future.result(1)
    assert loaded is not None and loaded.evaluation.count == 120


def test_an_evaluation_whose_future_was_cancelled_is_still_cached(tmp_path: Path) -> None:
    folder, cache, fake = make_run(tmp_path, splits=()), EvaluationCache(), FakeSession()
    cache.evaluate(fake.session, folder, "val").cancel()
    fake.futures[0].set_result(make_evaluation())
    assert cache.get(folder, "val") is not None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("the checkpoint is gone"), "the checkpoint is gone"),
        (ValueError("Input contains\nNaN"), "ValueError: Input contains NaN"),
    ],
)
def test_any_error_of_an_evaluation_is_reported_in_one_line(
    tmp_path: Path, error: Exception, message: str
) -> None:
    folder, cache, fake = make_run(tmp_path), EvaluationCache(), FakeSession()
    future = cache.evaluate(fake.session, folder, "val")
    fake.futures[0].set_exception(error)
    with pytest.raises(UserError, match=message):
        future.result(1)
    assert message in cache.error(folder, "val")
    assert cache.started_at(folder, "val") is None
    cache.evaluate(fake.session, folder, "val")
    assert not cache.error(folder, "val")


def test_a_refused_evaluation_is_not_in_progress(tmp_path: Path) -> None:
    folder, cache = make_run(tmp_path), EvaluationCache()
    session = Session(tmp_path, tmp_path)
    session.close()
    with pytest.raises(UserError):
        cache.evaluate(session, folder, "val")
    assert cache.started_at(folder, "val") is None


def test_any_damage_to_a_file_is_reported_in_one_line(tmp_path: Path) -> None:
    folder, cache, dice = make_run(tmp_path), EvaluationCache(), random.Random(0)
    path = folder.predictions / "val.npz"
    intact = path.read_bytes()
    refused = 0
    for _ in range(60):
        damaged = bytearray(intact)
        damaged[dice.randrange(len(intact))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged if dice.random() < 0.8 else damaged[: dice.randrange(len(intact))])
        try:
            cache.load(folder, "val")
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def test_nan_predictions_cannot_be_scored(tmp_path: Path) -> None:
    folder, cache = make_run(tmp_path), EvaluationCache()
    valid = predictions("val")
    broken = Predictions(
        "val",
        np.full_like(valid.logits, np.nan),
        valid.labels,
        valid.indices,
        valid.classes,
        "best",
    )
    broken.save(folder.predictions / "val.npz")
    with pytest.raises(UserError, match="cannot be scored"):
        cache.load(folder, "val")

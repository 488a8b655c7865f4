"""What is kept of runs' predictions: read once, read anew when they change, never wrong."""

from __future__ import annotations

import random
from concurrent.futures import Future
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


def verdict(split: str = "val", seed: int = 3) -> SplitEvaluation:
    found = predictions(split, seed=seed)
    return SplitEvaluation(found.evaluation(), found, "best", 60, 3)


class Asked:
    """A session that answers when the test says so."""

    def __init__(self) -> None:
        self.futures: list[Future[SplitEvaluation]] = []

    def evaluate(self, *_: Any) -> Future[SplitEvaluation]:
        self.futures.append(Future())
        return self.futures[-1]

    @property
    def session(self) -> Session:
        return cast(Session, self)


def test_predictions_are_read_once(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path), EvaluationCache()
    assert verdicts.get(folder, "val") is None
    found = verdicts.load(folder, "val")
    assert found is not None and found.evaluation.count == 300
    assert verdicts.load(folder, "val") is found
    assert verdicts.get(folder, "val") is found


def test_predictions_that_have_changed_are_read_anew(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path), EvaluationCache()
    before = verdicts.load(folder, "val")
    predictions("val", count=200, seed=1).save(folder.predictions / "val.npz")
    assert verdicts.get(folder, "val") is None
    after = verdicts.load(folder, "val")
    assert after is not before
    assert after is not None and after.evaluation.count == 200


def test_there_is_nothing_where_nothing_was_predicted(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path, splits=()), EvaluationCache()
    assert verdicts.load(folder, "val") is None
    assert not verdicts.has_predictions(folder, "val")
    assert verdicts.split(folder) == "val"


def test_test_is_looked_at_first_where_it_was_read_and_a_choice_stays(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path), EvaluationCache()
    assert verdicts.split(folder) == "test"
    verdicts.choose_split(folder, "train")
    assert verdicts.split(folder) == "train"


def test_predictions_of_the_last_checkpoint_stand_in_for_the_best(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path, splits=()), EvaluationCache()
    predictions("val").save(folder.predictions / "val-last.npz")
    assert verdicts.load(folder, "val") is not None


def test_the_record_says_which_step_was_judged(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path), EvaluationCache()
    found = verdicts.load(folder, "test")
    assert found is not None
    assert found.trained_until(None) is None
    assert found.trained_until(verdicts.load_state(folder)) == (80, 4)
    assert verdicts.load_state(folder) is verdicts.load_state(folder)


def test_a_verdict_of_this_session_is_kept_without_a_file(tmp_path: Path) -> None:
    folder, verdicts, asked = make_run(tmp_path, splits=()), EvaluationCache(), Asked()
    answer = verdicts.evaluate(asked.session, folder, "val")
    assert verdicts.started_at(folder, "val") is not None
    asked.futures[0].set_result(verdict())
    found = answer.result(1)
    assert found.trained_until(None) == (60, 3)
    assert verdicts.started_at(folder, "val") is None
    assert verdicts.load(folder, "val") is found
    assert verdicts.has_predictions(folder, "val")


def test_a_file_that_comes_later_takes_the_place_of_that_verdict(tmp_path: Path) -> None:
    folder, verdicts, asked = make_run(tmp_path, splits=()), EvaluationCache(), Asked()
    answer = verdicts.evaluate(asked.session, folder, "val")
    asked.futures[0].set_result(verdict())
    predictions("val", count=120).save(folder.predictions / "val.npz")
    found = verdicts.load(folder, "val")
    assert found is not answer.result(1)
    assert found is not None and found.evaluation.count == 120


def test_a_verdict_that_nobody_waits_for_any_more_is_kept_all_the_same(tmp_path: Path) -> None:
    folder, verdicts, asked = make_run(tmp_path, splits=()), EvaluationCache(), Asked()
    verdicts.evaluate(asked.session, folder, "val").cancel()
    asked.futures[0].set_result(verdict())
    assert verdicts.get(folder, "val") is not None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("the checkpoint is gone"), "the checkpoint is gone"),
        (ValueError("Input contains\nNaN"), "ValueError: Input contains NaN"),
    ],
)
def test_whatever_goes_wrong_in_the_engine_becomes_one_line(
    tmp_path: Path, error: Exception, told: str
) -> None:
    folder, verdicts, asked = make_run(tmp_path), EvaluationCache(), Asked()
    answer = verdicts.evaluate(asked.session, folder, "val")
    asked.futures[0].set_exception(error)
    with pytest.raises(UserError, match=told):
        answer.result(1)
    assert told in verdicts.error(folder, "val")
    assert verdicts.started_at(folder, "val") is None
    verdicts.evaluate(asked.session, folder, "val")
    assert not verdicts.error(folder, "val")


def test_a_session_that_refuses_leaves_nothing_under_way(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path), EvaluationCache()
    session = Session(tmp_path, tmp_path)
    session.close()
    with pytest.raises(UserError):
        verdicts.evaluate(session, folder, "val")
    assert verdicts.started_at(folder, "val") is None


def test_a_damaged_file_is_one_line_whatever_is_damaged_in_it(tmp_path: Path) -> None:
    folder, verdicts, dice = make_run(tmp_path), EvaluationCache(), random.Random(0)
    path = folder.predictions / "val.npz"
    whole = path.read_bytes()
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged if dice.random() < 0.8 else damaged[: dice.randrange(len(whole))])
        try:
            verdicts.load(folder, "val")
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def test_predictions_that_are_no_numbers_cannot_be_scored(tmp_path: Path) -> None:
    folder, verdicts = make_run(tmp_path), EvaluationCache()
    sound = predictions("val")
    broken = Predictions(
        "val",
        np.full_like(sound.logits, np.nan),
        sound.labels,
        sound.indices,
        sound.classes,
        "best",
    )
    broken.save(folder.predictions / "val.npz")
    with pytest.raises(UserError, match="cannot be scored"):
        verdicts.load(folder, "val")

"""Checking the claims of recipes, with fake runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from fmnist_tui.cli.support import claims as claims_module
from fmnist_tui.cli.support.claims import ClaimResult, check_recipes, create_claim_table
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.cli.support.run_plan import CompletedStep
from fmnist_tui.config.plans import Plan, TrainStep
from fmnist_tui.config.recipes import Claim, EnsembleMembers, Recipe, Stage
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import (
    FAILED,
    FINISHED,
    FROZEN_CHANGED,
    FROZEN_KEPT,
    Alert,
    Evaluated,
    RunEnded,
)
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError

NO_SESSION = cast(Session, None)


class FakeRuns:
    """Replaces `run_plan`: each run takes ten seconds, its accuracy depends on its seed."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.parts: list[ProgressPart] = []
        self.failures: dict[int, str] = {}
        self.error = ""
        self.frozen_changed = False

    def __call__(self, session: Session, plan: Plan, part: ProgressPart) -> Iterator[CompletedStep]:
        self.parts.append(part)
        if self.error:
            raise UserError(self.error)
        while (step := plan.next) is not None:
            state = RunState()
            seed = step.config.seed if isinstance(step, TrainStep) else -1
            self.seeds.append(seed)
            why = self.failures.get(seed, "")
            accuracy = 0.9 + seed / 100 if step.name != "adapt" else 0.5
            state.apply(_evaluated("val", accuracy - 0.1))
            state.apply(_evaluated("test", accuracy))
            note = FROZEN_CHANGED if self.frozen_changed else FROZEN_KEPT
            state.apply(Alert(0.0, "note", f"{note}: 4 tensors"))
            state.apply(RunEnded(0.0, 1, 1, FAILED if why else FINISHED, 1.0, why))
            state.time.warm_seconds, state.time.train_seconds = 12.0, 10.0
            yield CompletedStep(step.name, state, RunFolder(Path("/none")))
            plan = plan.advance(state.end_reason, Path("/none"))


def _evaluated(split: str, accuracy: float) -> Evaluated:
    return Evaluated(0.0, 1, 1, "best", split, 500, 0.1, accuracy, 0.0, 1.0, 0.9, 0.1, ((1,),))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    runs = FakeRuns()
    monkeypatch.setattr(claims_module, "run_plan", runs)
    return runs


def plain(*claims: Claim, **values: Any) -> Recipe:
    return Recipe("plain", "", {"dataset": "sketches"}, claims, **values)


def check(recipe: Recipe, seeds: int | None = None) -> list[ClaimResult]:
    return list(check_recipes(NO_SESSION, [recipe], seeds, "cpu"))


def test_a_claim_is_compared_with_the_mean_over_the_seeds(runs: FakeRuns) -> None:
    results = check(plain(Claim("test_accuracy", 0.91), Claim("test_accuracy", 0.911)))
    assert runs.seeds == [0, 1, 2], "claims of the same run share it"
    assert [result.passed for result in results] == [True, False]
    assert results[0].values == (0.9, 0.91, 0.92)
    assert results[0].mean == pytest.approx(0.91) and results[0].sd == pytest.approx(0.01)
    assert results[0].count == 500 and results[0].train_seconds == (10.0,) * 3
    assert results[0].warm_seconds == (12.0,) * 3


def test_a_validation_claim_measures_validation_accuracy(runs: FakeRuns) -> None:
    (result,) = check(plain(Claim("val_accuracy", 0.8)), seeds=1)
    assert result.values == pytest.approx((0.8,)) and result.sd is None


def test_seeds_default_to_the_number_in_the_recipe(runs: FakeRuns) -> None:
    check(plain(Claim("test_accuracy", 0.5), seeds=5))
    assert runs.seeds == [0, 1, 2, 3, 4]
    runs.seeds.clear()
    check(plain(Claim("test_accuracy", 0.5), seeds=5), seeds=1)
    assert runs.seeds == [0]


def test_every_variant_that_the_claims_need_is_trained_separately(runs: FakeRuns) -> None:
    recipe = plain(
        Claim("test_accuracy", 0.5),
        Claim("test_accuracy", 0.5, run={"epochs": 9}),
        Claim("val_accuracy", 0.5, run={"epochs": 9}),
    )
    assert len(check(recipe, seeds=2)) == 3
    assert runs.seeds == [0, 1, 0, 1]


def test_each_seed_of_an_ensemble_trains_a_different_set_of_members(runs: FakeRuns) -> None:
    claims = (Claim("test_accuracy", 0.5), Claim("warm_seconds", at_most=35.0))
    results = check(plain(*claims, ensemble=EnsembleMembers(2)), seeds=2)
    assert runs.seeds == [0, 1, -1, 2, 3, -1]
    assert results[0].values == pytest.approx((0.89, 0.89)), "the ensemble's own accuracy"
    assert results[1].values == (36.0, 36.0) and results[1].passed is False


STAGES = (Stage("pretrain", {}), Stage("adapt", {"freeze": "body"}))


def test_a_claim_about_a_stage_measures_the_run_of_that_stage(runs: FakeRuns) -> None:
    results = check(
        plain(
            Claim("test_accuracy", 0.8, stage="pretrain"),
            Claim("test_accuracy", 0.8, stage="adapt"),
            Claim("test_accuracy", 0.4),
            Claim("warm_seconds", at_most=15, stage="adapt"),
            Claim("train_seconds", at_most=15),
            Claim("frozen_unchanged", 1.0, stage="adapt"),
            stages=STAGES,
        ),
        seeds=1,
    )
    assert [result.values for result in results] == [
        (0.9,),
        (0.5,),
        (0.5,),
        (12.0,),
        (20.0,),
        (1.0,),
    ]
    assert [result.passed for result in results] == [True, False, True, True, False, True]
    assert [result.train_seconds for result in results] == [
        (10.0,),
        (10.0,),
        (20.0,),
        (10.0,),
        (20.0,),
        (10.0,),
    ]
    runs.frozen_changed = True
    frozen = Claim("frozen_unchanged", 1.0, stage="adapt")
    (changed,) = check(plain(frozen, stages=STAGES), seeds=2)
    assert changed.values == (0.0, 0.0) and changed.passed is False


def test_only_claims_about_this_kind_of_machine_are_checked_and_goals_are_told_apart(
    runs: FakeRuns,
) -> None:
    recipe = plain(
        Claim("test_accuracy", 0.95, goal=True),
        Claim("warm_seconds", at_most=15.0, gpu=False),
        Claim("warm_seconds", at_most=1.0, run={"epochs": 2}, gpu=True, goal=True),
    )
    missed, kept, elsewhere = check(recipe, seeds=1)
    assert runs.seeds == [0], "nothing is trained for a GPU that is not used"
    assert (missed.passed, missed.goal, kept.passed, kept.goal) == (False, True, True, False)
    assert elsewhere.passed is None and elsewhere.why == "it is about runs on an NVIDIA GPU"
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(create_claim_table([missed, kept, elsewhere]))
    rows = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert rows[1].endswith("not yet") and "goal: test accuracy" in rows[1]
    assert rows[2].endswith("yes") and rows[3].endswith("not checked")


def test_a_recipe_that_cannot_start_is_not_checked(runs: FakeRuns) -> None:
    runs.error = "no data"
    (result,) = check(plain(Claim("test_accuracy", 0.5)))
    assert (result.passed, result.values, result.why) == (None, (), "no data")


def test_a_failed_run_fails_the_claim(runs: FakeRuns) -> None:
    runs.failures[1] = "the loss stopped being a number"
    (result,) = check(plain(Claim("test_accuracy", 0.5)))
    assert result.passed is False and result.why == "the loss stopped being a number"
    assert result.values == (0.9,)
    assert runs.seeds == [0, 1]


def test_progress_names_the_recipe_and_the_seed(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    first = plain(Claim("test_accuracy", 0.5))
    second = plain(
        Claim("test_accuracy", 0.5), Claim("test_accuracy", 0.5, about="x", run={"lr": 1.0})
    )
    list(check_recipes(NO_SESSION, [first, second], 2, "cpu"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "checking plain (1 of 3): seed 1 of 2",
        "checking plain (1 of 3): seed 2 of 2",
        "checking plain (2 of 3): seed 1 of 2",
    ]
    assert lines[4] == "checking plain, x (3 of 3): seed 1 of 2"
    assert runs.parts == [ProgressPart(index, 6) for index in range(6)]


def test_the_table_has_a_row_for_each_claim(runs: FakeRuns) -> None:
    recipe = plain(
        Claim("test_accuracy", 0.905, about="garments"),
        Claim("warm_seconds", at_most=9.5),
        Claim("frozen_unchanged", 1.0),
    )
    results = check(recipe)
    runs.error = "no data"
    results += check(plain(Claim("test_accuracy", 0.5, about="digits")))
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(create_claim_table(results))
    lines = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert lines == [
        "recipe what claim measured seeds seconds passed",
        "plain garments (500) ≥ 90.50 % 91.00 % ± 1.00 3 12.0 yes",
        "plain warm seconds ≤ 9.5 s 12.0 s ± 0.0 3 12.0 NO",
        "plain frozen unchanged all of them 3 of 3 runs 3 12.0 yes",
        "plain digits ≥ 50.00 % – 0 – not checked",
    ]


def test_a_recipe_without_claims_is_not_trained_and_that_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = FakeRuns()
    monkeypatch.setattr(claims_module, "run_plan", runs)
    assert [*check_recipes(NO_SESSION, [Recipe("modest", "", {})], None, "cpu")] == []
    assert runs.seeds == []
    assert "modest claims nothing: not checked" in capsys.readouterr().err

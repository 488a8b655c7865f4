"""Holding recipes to their claims, with runs that are only told of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from fmnist_tui.cli.support import claims as checking
from fmnist_tui.cli.support.claims import ClaimResult, check, table
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.cli.support.run_plan import CompletedPlan
from fmnist_tui.config.plans import Plan, TrainStep
from fmnist_tui.config.recipes import Claim, Members, Recipe, Stage
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


class Runs:
    """Carries plans out by saying what came of them: accuracies by seed, ten seconds each."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.parts: list[ProgressPart] = []
        self.fails: dict[int, str] = {}
        self.missing = ""
        self.moved = False

    def __call__(self, session: Session, plan: Plan, part: ProgressPart) -> Iterator[CompletedPlan]:
        self.parts.append(part)
        if self.missing:
            raise UserError(self.missing)
        while (step := plan.next) is not None:
            state = RunState()
            seed = step.config.seed if isinstance(step, TrainStep) else -1
            self.seeds.append(seed)
            why = self.fails.get(seed, "")
            accuracy = 0.9 + seed / 100 if step.name != "adapt" else 0.5
            state.apply(_judged("val", accuracy - 0.1))
            state.apply(_judged("test", accuracy))
            said = FROZEN_CHANGED if self.moved else FROZEN_KEPT
            state.apply(Alert(0.0, "note", f"{said}: 4 tensors"))
            state.apply(RunEnded(0.0, 1, 1, FAILED if why else FINISHED, 1.0, why))
            state.train_seconds = 10.0
            yield CompletedPlan(step.name, state, RunFolder(Path("/none")))
            plan = plan.ended(state.ended, Path("/none"))


def _judged(split: str, accuracy: float) -> Evaluated:
    return Evaluated(0.0, 1, 1, "best", split, 500, 0.1, accuracy, 0.0, 1.0, 0.9, 0.1, ((1,),))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs()
    monkeypatch.setattr(checking, "carried_out", found)
    return found


def plain(*claims: Claim, **values: Any) -> Recipe:
    return Recipe("plain", "", {"dataset": "sketches"}, claims, **values)


def held(recipe: Recipe, seeds: int | None = None) -> list[ClaimResult]:
    return list(check(NO_SESSION, [recipe], seeds, "cpu"))


def test_a_claim_is_held_against_the_mean_over_the_seeds(runs: Runs) -> None:
    found = held(plain(Claim("test_accuracy", 0.91), Claim("test_accuracy", 0.911)))
    assert runs.seeds == [0, 1, 2], "claims of the same run share it"
    assert [one.passed for one in found] == [True, False]
    assert found[0].values == (0.9, 0.91, 0.92)
    assert found[0].mean == pytest.approx(0.91) and found[0].sd == pytest.approx(0.01)
    assert found[0].count == 500 and found[0].seconds == (10.0,) * 3


def test_validation_is_measured_where_it_is_claimed(runs: Runs) -> None:
    (found,) = held(plain(Claim("val_accuracy", 0.8)), seeds=1)
    assert found.values == pytest.approx((0.8,)) and found.sd is None


def test_the_recipe_says_over_how_many_seeds_unless_it_is_told(runs: Runs) -> None:
    held(plain(Claim("test_accuracy", 0.5), seeds=5))
    assert runs.seeds == [0, 1, 2, 3, 4]
    runs.seeds.clear()
    held(plain(Claim("test_accuracy", 0.5), seeds=5), seeds=1)
    assert runs.seeds == [0]


def test_every_variant_that_claims_ask_for_is_trained_apart(runs: Runs) -> None:
    recipe = plain(
        Claim("test_accuracy", 0.5),
        Claim("test_accuracy", 0.5, run={"epochs": 9}),
        Claim("val_accuracy", 0.5, run={"epochs": 9}),
    )
    assert len(held(recipe, seeds=2)) == 3
    assert runs.seeds == [0, 1, 0, 1]


def test_each_seed_of_an_ensemble_is_another_set_of_members(runs: Runs) -> None:
    claims = (Claim("test_accuracy", 0.5), Claim("train_seconds", at_most=29.0))
    found = held(plain(*claims, ensemble=Members(2)), seeds=2)
    assert runs.seeds == [0, 1, -1, 2, 3, -1]
    assert found[0].values == pytest.approx((0.89, 0.89)), "the ensemble's own accuracy"
    assert found[1].values == (30.0, 30.0) and found[1].passed is False


STAGES = (Stage("pretrain", {}), Stage("adapt", {"freeze": "body"}))


def test_a_claim_about_a_stage_measures_that_stages_run(runs: Runs) -> None:
    found = held(
        plain(
            Claim("test_accuracy", 0.8, stage="pretrain"),
            Claim("test_accuracy", 0.8, stage="adapt"),
            Claim("test_accuracy", 0.4),
            Claim("train_seconds", at_most=15, stage="adapt"),
            Claim("train_seconds", at_most=15),
            Claim("frozen_unchanged", 1.0, stage="adapt"),
            stages=STAGES,
        ),
        seeds=1,
    )
    assert [one.values for one in found] == [(0.9,), (0.5,), (0.5,), (10.0,), (20.0,), (1.0,)]
    assert [one.passed for one in found] == [True, False, True, True, False, True]
    assert [one.seconds for one in found] == [(10.0,), (10.0,), (20.0,), (10.0,), (20.0,), (10.0,)]
    runs.moved = True
    frozen = Claim("frozen_unchanged", 1.0, stage="adapt")
    (changed,) = held(plain(frozen, stages=STAGES), seeds=2)
    assert changed.values == (0.0, 0.0) and changed.passed is False


def test_a_recipe_without_its_data_is_not_checked_and_the_others_are(runs: Runs) -> None:
    runs.missing = "the data are not there"
    (found,) = held(plain(Claim("test_accuracy", 0.5)))
    assert (found.passed, found.values, found.why) == (None, (), "the data are not there")


def test_a_run_that_fails_keeps_no_claim(runs: Runs) -> None:
    runs.fails[1] = "the loss stopped being a number"
    (found,) = held(plain(Claim("test_accuracy", 0.5)))
    assert found.passed is False and found.why == "the loss stopped being a number"
    assert found.values == (0.9,)
    assert runs.seeds == [0, 1]


def test_progress_says_which_recipe_and_seed_and_of_how_many(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    one = plain(Claim("test_accuracy", 0.5))
    two = plain(
        Claim("test_accuracy", 0.5), Claim("test_accuracy", 0.5, about="x", run={"lr": 1.0})
    )
    list(check(NO_SESSION, [one, two], 2, "cpu"))
    said = capsys.readouterr().err.splitlines()
    assert said[:3] == [
        "checking plain (1 of 3): seed 1 of 2",
        "checking plain (1 of 3): seed 2 of 2",
        "checking plain (2 of 3): seed 1 of 2",
    ]
    assert said[4] == "checking plain, x (3 of 3): seed 1 of 2"
    assert runs.parts == [ProgressPart(at, 6) for at in range(6)]


def test_the_table_has_a_line_for_each_claim_with_figures_people_read(runs: Runs) -> None:
    recipe = plain(
        Claim("test_accuracy", 0.905, about="garments"),
        Claim("train_seconds", at_most=9.5),
        Claim("frozen_unchanged", 1.0),
    )
    results = held(recipe)
    runs.missing = "no data"
    results += held(plain(Claim("test_accuracy", 0.5, about="digits")))
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(table(results))
    lines = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert lines == [
        "recipe what claim ours seeds seconds pass",
        "plain garments (500) ≥ 90.50 % 91.00 % ± 1.00 3 10 yes",
        "plain train seconds ≤ 9.5 s 10.0 s ± 0.0 3 10 NO",
        "plain frozen unchanged all of them 3 of 3 runs 3 10 yes",
        "plain digits ≥ 50.00 % – 0 – not checked",
    ]

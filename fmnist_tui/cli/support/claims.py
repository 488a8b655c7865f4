"""Checking the claims of recipes: every run they call for, trained over several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from fmnist_tui.analysis.metrics import grouped_accuracy
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.cli.support import console
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.cli.support.run_plan import CompletedStep, run_plan
from fmnist_tui.config import gpu_detect
from fmnist_tui.config.dataset_catalog import garment_groups
from fmnist_tui.config.measurement import SECONDS, STEP_SECONDS, WARM_SECONDS
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.recipes import DEFAULT_SEEDS, FROZEN, Claim, Recipe
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_percent

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim and what was measured. `passed` is None if the claim could not be checked; `why`
    says what prevented that, or what failed. `seconds` are the wall times of the seeds,
    `warm_seconds` those from the first step to usable weights, `train_seconds` their times in
    training steps. Printed as JSON under these names."""

    recipe: str
    about: str
    stage: str
    metric: str
    bound: str
    claim: float
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    warm_seconds: tuple[float, ...]
    train_seconds: tuple[float, ...]
    count: int
    passed: bool | None
    goal: bool
    why: str = ""

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def sd(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True)
class SeedResults:
    """The completed steps of each seed, up to an `error`; whether any run `started` before it."""

    seeds: tuple[tuple[CompletedStep, ...], ...]
    error: str = ""
    started: bool = True


def check_recipes(
    session: Session, chosen: Sequence[Recipe], seeds: int | None, device: str
) -> Iterator[ClaimResult]:
    """Check every claim of these recipes over `seeds` seeds, or as many as a recipe says."""
    for recipe in (recipe for recipe in chosen if not recipe.claims):
        console.note(f"{recipe.name} claims nothing: not checked")
    variants = [(recipe, claims) for recipe in chosen for claims in recipe.variants(device)]
    for index, (recipe, claims) in enumerate(variants):
        part = ProgressPart(index, len(variants))
        count = seeds or recipe.seeds or DEFAULT_SEEDS
        results = _run_seeds(session, recipe, claims[0], count, device, part)
        for claim in claims:
            yield _check_claim(recipe, claim, results)
    uses_gpu = gpu_detect.will_use_gpu(device)
    why = f"it is about runs {'without a' if uses_gpu else 'on an NVIDIA'} GPU"
    for recipe in chosen:
        for claim in recipe.claims:
            if not claim.is_about(uses_gpu=uses_gpu):
                yield _check_claim(recipe, claim, SeedResults((), why, started=False))


def _run_seeds(
    session: Session, recipe: Recipe, claim: Claim, count: int, device: str, part: ProgressPart
) -> SeedResults:
    # Each seed of an ensemble is a different set of members.
    seed_step = recipe.ensemble.seeds if recipe.ensemble is not None else 1
    results: list[tuple[CompletedStep, ...]] = []
    about = f", {claim.about}" if claim.run and claim.about else ""
    variant = f" ({part.index + 1} of {part.count})" if part.count > 1 else ""
    for number in range(count):
        console.note(f"checking {recipe.name}{about}{variant}: seed {number + 1} of {count}")
        completed: list[CompletedStep] = []
        try:
            changes = {**claim.run, "device": device, "seed": number * seed_step}
            plan = Plan.from_recipe(recipe, changes)
            for step in run_plan(session, plan, part.split(number, count)):
                completed.append(step)
                if step.status:
                    raise SystemExit(step.status)
                if step.state.end_reason != FINISHED:
                    return SeedResults(tuple(results), step.state.message or "a run did not finish")
        except UserError as error:
            return SeedResults(tuple(results), str(error), started=bool(completed or results))
        results.append(tuple(completed))
    return SeedResults(tuple(results))


def _check_claim(recipe: Recipe, claim: Claim, results: SeedResults) -> ClaimResult:
    # A claim is about the steps of its stage, or all.
    claimed = [
        [step for step in steps if claim.stage in ("", step.name)] for steps in results.seeds
    ]
    split = "val" if claim.metric == "val_accuracy" else "test"
    values: tuple[float, ...] = ()
    why = results.error
    try:
        values = tuple(_measure(claim.metric, split, steps) for steps in claimed)
    except UserError as error:
        why = str(error)
    if why:
        # A recipe that fails does not keep its claims; one that cannot start is not checked.
        passed = False if results.started else None
    else:
        passed = claim.is_met_by(statistics.fmean(values))
    evaluated = None
    if claimed and claim.metric not in (*SECONDS, FROZEN):
        evaluated = claimed[0][-1].state.evaluation(split)
    return ClaimResult(
        recipe=recipe.name,
        about=claim.about,
        stage=claim.stage,
        metric=claim.metric,
        bound=claim.bound_kind,
        claim=claim.bound,
        values=values,
        seconds=tuple(sum(step.state.seconds for step in steps) for steps in claimed),
        warm_seconds=tuple(_sum_seconds(WARM_SECONDS, steps) for steps in claimed),
        train_seconds=tuple(_sum_seconds(STEP_SECONDS, steps) for steps in claimed),
        count=evaluated.count if evaluated else 0,
        passed=passed,
        goal=claim.goal,
        why=why,
    )


def _measure(metric: str, split: str, steps: Sequence[CompletedStep]) -> float:
    """A metric: seconds are summed over the steps, others are those of the last."""
    if metric in SECONDS:
        return _sum_seconds(metric, steps)
    state, folder = steps[-1].state, steps[-1].folder
    assert folder is not None, "a finished run has a folder"
    if metric == FROZEN:
        return float(state.frozen_unchanged is True)
    if metric == "group_accuracy":
        predictions = Predictions.load(folder.predictions / "test.npz")
        predicted = predictions.logits.argmax(1)
        return grouped_accuracy(predicted, predictions.labels, garment_groups(predictions.classes))
    evaluated = state.evaluation(split)
    if evaluated is None:
        raise UserError(f"the run {folder.path.name} has no {metric}")
    return evaluated.accuracy


def _sum_seconds(kind: str, steps: Sequence[CompletedStep]) -> float:
    """Seconds of all steps; combining an ensemble trains nothing."""
    return sum(getattr(step.state, kind) or 0.0 for step in steps)


def format_bound(metric: str, bound: str, value: float) -> str:
    """What is claimed of a metric: `≥ 90.50 %`."""
    if metric == FROZEN:
        return "all of them" if value else "none"
    sign = {"at most": "≤", "at least": "≥"}[bound]
    return f"{sign} {value:g} s" if metric in SECONDS else f"{sign} {format_percent(value)}"


def format_claim(result: ClaimResult) -> str:
    """Which claim it is, in one line: `fast, fashion: ≥ 90.17 %`."""
    about = f"{'goal: ' if result.goal else ''}{result.about or result.metric}"
    return f"{result.recipe}, {about}: {format_bound(result.metric, result.bound, result.claim)}"


def format_measured(result: ClaimResult) -> str:
    """What was measured: `91.23 % ± 0.12`."""
    if result.mean is None:
        return "–"
    if result.metric == FROZEN:
        return f"{sum(result.values):.0f} of {len(result.values)} runs"
    if result.metric in SECONDS:
        return f"{result.mean:.1f} s" + (f" ± {result.sd:.1f}" if result.sd is not None else "")
    spread = f" ± {result.sd * 100:.2f}" if result.sd is not None else ""
    return format_percent(result.mean) + spread


def create_claim_table(results: Sequence[ClaimResult]) -> Table:
    """One row a claim or a goal."""
    unchecked = Text("not checked", "yellow")
    verdicts = {
        False: {True: Text("yes", "green"), False: Text("NO", "bold red"), None: unchecked},
        True: {True: Text("reached", "green"), False: Text("not yet", "yellow"), None: unchecked},
    }
    rows = []
    for result in results:
        what = result.about or f"{result.stage} {result.metric.replace('_', ' ')}".strip()
        what = f"goal: {what}" if result.goal else what
        rows.append(
            (
                result.recipe,
                f"{what} ({result.count:,})" if result.count else what,
                format_bound(result.metric, result.bound, result.claim),
                format_measured(result),
                len(result.values),
                f"{statistics.fmean(result.warm_seconds):.1f}" if result.warm_seconds else "–",
                verdicts[result.goal][result.passed],
            )
        )
    headings = ("recipe", "what", "claim", "measured", "seeds", "seconds", "passed")
    return console.create_table(headings, rows, fold=True)

"""Holding recipes to their claims: every run they ask for trained over several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from fmnist_tui.analysis.metrics import grouped_accuracy
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.cli.support import console
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.cli.support.run_plan import CompletedPlan, carried_out
from fmnist_tui.config.dataset_catalog import worlds
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.recipes import SECONDS, SEEDS, Claim, Recipe
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.util.errors import UserError

FROZEN = "frozen_unchanged"


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim beside what was measured. `passed` is None where the claim could not be checked,
    and `why` says what kept it from that, or from being held."""

    recipe: str
    about: str
    stage: str
    metric: str
    bound: str
    claim: float
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    count: int
    passed: bool | None
    why: str = ""

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def sd(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True)
class RecipeTrial:
    """What a recipe came to with its seeds: the steps of each, as far as all of them were
    done; `begun` says whether there was anything to try."""

    outcomes: tuple[tuple[CompletedPlan, ...], ...]
    why: str = ""
    begun: bool = True


def check(
    session: Session, chosen: Sequence[Recipe], seeds: int | None, device: str
) -> Iterator[ClaimResult]:
    """Every claim of these recipes, over so many seeds or as many as each recipe says."""
    variants = [(recipe, claims) for recipe in chosen for claims in recipe.variants]
    for place, (recipe, claims) in enumerate(variants):
        part = ProgressPart(place, len(variants))
        tried = _tried(session, recipe, claims[0], seeds, device, part)
        for claim in claims:
            yield _held_to(recipe, claim, tried)


def _tried(
    session: Session,
    recipe: Recipe,
    claim: Claim,
    seeds: int | None,
    device: str,
    part: ProgressPart,
) -> RecipeTrial:
    count = seeds or recipe.seeds or SEEDS
    apart = recipe.ensemble.seeds if recipe.ensemble is not None else 1
    outcomes: list[tuple[CompletedPlan, ...]] = []
    about = f", {claim.about}" if claim.run and claim.about else ""
    for number in range(count):
        here = f" ({part.at + 1} of {part.of})" if part.of > 1 else ""
        console.note(f"checking {recipe.name}{about}{here}: seed {number + 1} of {count}")
        done: list[CompletedPlan] = []
        try:
            # Each seed of an ensemble is another set of members.
            changes = {**claim.run, "device": device, "seed": number * apart}
            for step in carried_out(session, Plan.of(recipe, changes), part.split(number, count)):
                done.append(step)
                if step.status:
                    raise SystemExit(step.status)
                if step.state.ended != FINISHED:
                    return RecipeTrial(
                        tuple(outcomes), step.state.message or "a run did not finish"
                    )
        except UserError as error:
            return RecipeTrial(tuple(outcomes), str(error), begun=bool(done or outcomes))
        outcomes.append(tuple(done))
    return RecipeTrial(tuple(outcomes))


def _held_to(recipe: Recipe, claim: Claim, tried: RecipeTrial) -> ClaimResult:
    values: tuple[float, ...] = ()
    why = tried.why
    try:
        values = tuple(_measured(claim, outcome) for outcome in tried.outcomes)
    except UserError as error:
        why = str(error)
    verdict = None
    if tried.outcomes and claim.metric not in (SECONDS, FROZEN):
        verdict = _meant(claim, tried.outcomes[0])[-1].state.verdict(_split(claim))
    return ClaimResult(
        recipe=recipe.name,
        about=claim.about,
        stage=claim.stage,
        metric=claim.metric,
        bound="at most" if claim.at_least is None else "at least",
        claim=claim.bound,
        values=values,
        seconds=tuple(_seconds(_meant(claim, outcome)) for outcome in tried.outcomes),
        count=verdict.count if verdict else 0,
        passed=_passed(claim, values, why, tried.begun),
        why=why,
    )


def _passed(claim: Claim, values: Sequence[float], why: str, begun: bool) -> bool | None:
    """A recipe that breaks down keeps no claim; one that cannot even begin is not checked."""
    if why:
        return False if begun else None
    return claim.kept_by(statistics.fmean(values))


def _meant(claim: Claim, outcome: tuple[CompletedPlan, ...]) -> tuple[CompletedPlan, ...]:
    """The steps that a claim is about: those of its stage, or all."""
    return tuple(done for done in outcome if claim.stage in ("", done.name))


def _measured(claim: Claim, outcome: tuple[CompletedPlan, ...]) -> float:
    """The claim's metric: seconds of all the steps it is about, anything else of the last."""
    meant = _meant(claim, outcome)
    if claim.metric == SECONDS:
        return _seconds(meant)
    state, folder = meant[-1].state, meant[-1].folder
    assert folder is not None, "a finished run has a folder"
    if claim.metric == FROZEN:
        return float(state.frozen_unchanged is True)
    if claim.metric == "group_accuracy":
        kept = Predictions.load(folder.predictions / "test.npz")
        return grouped_accuracy(kept.logits.argmax(1), kept.labels, worlds(kept.classes))
    verdict = state.verdict(_split(claim))
    if verdict is None:
        raise UserError(f"the run in {folder.path.name} has no {claim.metric}")
    return verdict.accuracy


def _split(claim: Claim) -> str:
    return "val" if claim.metric == "val_accuracy" else "test"


def _seconds(steps: Sequence[CompletedPlan]) -> float:
    return sum(done.state.train_seconds for done in steps)


def claimed(metric: str, bound: str, value: float) -> str:
    """A claim's figure as people read it: `≥ 90.50 %`."""
    if metric == FROZEN:
        return "all of them" if value else "none"
    sign = {"at most": "≤", "at least": "≥"}[bound]
    return f"{sign} {value:g} s" if metric == SECONDS else f"{sign} {console.percent(value)}"


def claimed_by(done: ClaimResult) -> str:
    """Which claim it is, in a line: `fast, fashion: ≥ 90.17 %`."""
    about = done.about or done.metric
    return f"{done.recipe}, {about}: {claimed(done.metric, done.bound, done.claim)}"


def found(done: ClaimResult) -> str:
    """What was measured, as people read it: `91.23 % ± 0.12`."""
    if done.mean is None:
        return "–"
    if done.metric == FROZEN:
        return f"{sum(done.values):.0f} of {len(done.values)} runs"
    if done.metric == SECONDS:
        return f"{done.mean:.1f} s" + (f" ± {done.sd:.1f}" if done.sd is not None else "")
    spread = f" ± {done.sd * 100:.2f}" if done.sd is not None else ""
    return console.percent(done.mean) + spread


def table(results: Sequence[ClaimResult]) -> Table:
    """One line a claim."""
    lines = Table(box=None, pad_edge=False)
    for heading in ("recipe", "what", "claim", "ours", "seeds", "seconds", "pass"):
        lines.add_column(heading, overflow="fold")
    for done in results:
        word = {True: "yes", False: "NO", None: "not checked"}[done.passed]
        colour = {True: "green", False: "bold red", None: "yellow"}[done.passed]
        seconds = f"{statistics.fmean(done.seconds):.0f}" if done.seconds else "–"
        what = done.about or " ".join((done.stage, done.metric.replace("_", " "))).strip()
        lines.add_row(
            done.recipe,
            f"{what} ({done.count:,})" if done.count else what,
            claimed(done.metric, done.bound, done.claim),
            found(done),
            str(len(done.values)),
            seconds,
            Text(word, colour),
        )
    return lines

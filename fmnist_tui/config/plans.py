"""Plans: the runs of a recipe, in order, and which one is next.

A command or the dashboard carries out the `next` step, then continues with the plan that
`advance` returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fmnist_tui.config.recipes import EnsembleMembers, Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import read_text

# The `start` of a stage that begins with new weights: TOML has no word for no value.
NO_START = "none"
# Placeholder for the start of a linked step, so that its settings can be checked.
_PREVIOUS_RUN = "the previous run"


@dataclass(frozen=True, slots=True)
class TrainStep:
    """A training; a `linked` one starts from the weights of the previous run."""

    name: str
    config: RunConfig
    linked: bool = False


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """An ensemble of the runs of a plan."""

    name: str
    tta: str
    runs: tuple[Path, ...] = ()


Step = TrainStep | EnsembleStep


def first_run(recipe: Recipe) -> tuple[RunConfig, str]:
    """The config of a recipe's first run, and its heading if there are several."""
    plan = Plan.from_recipe(recipe)
    first = plan.next
    assert isinstance(first, TrainStep), "a plan starts with a training"
    return first.config, plan.heading


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a recipe, and the runs of the completed ones."""

    recipe: str
    steps: tuple[Step, ...]
    runs: tuple[Path, ...] = ()
    failed: bool = False

    @classmethod
    def from_recipe(cls, recipe: Recipe, changes: Mapping[str, Any] | None = None) -> Plan:
        """The plan of a recipe with `changes` to all its runs, except what a stage sets itself."""
        changes = dict(changes or {})
        if recipe.stages:
            steps = _stages(recipe, changes)
        elif recipe.ensemble is not None:
            steps = _members(recipe, recipe.ensemble, changes)
        else:
            steps = [TrainStep("", recipe.config(**changes))]
        return cls(recipe.name, tuple(steps))

    @classmethod
    def for_seeds(cls, config: RunConfig, seeds: int) -> Plan:
        """The run with `seeds` seeds, counted from its own, and an ensemble of these runs."""
        return cls(config.recipe, tuple(_members_and_ensemble(config, seeds, config.tta)))

    @classmethod
    def starting_with(cls, config: RunConfig, recipe: Recipe) -> Plan:
        """The plan of a recipe whose first run has this config; its differences from the recipe
        apply to the other runs too."""
        first = cls.from_recipe(recipe).steps[0]
        assert isinstance(first, TrainStep), "a plan starts with a training"
        changes = {key: mine for key, (mine, _) in config.differences(first.config).items()}
        plan = cls.from_recipe(recipe, changes)
        return replace(plan, steps=(replace(first, config=config), *plan.steps[1:]))

    def to_json(self) -> str:
        """The plan as text, for another process to continue."""
        steps = [
            {"unite": step.name, "tta": step.tta}
            if isinstance(step, EnsembleStep)
            else {"train": step.name, "config": step.config.model_dump(), "linked": step.linked}
            for step in self.steps
        ]
        return json.dumps({"recipe": self.recipe, "steps": steps, "runs": [*map(str, self.runs)]})

    @classmethod
    def from_file(cls, file: Path) -> Plan:
        """A plan saved as JSON; a UserError if it cannot be read."""
        try:
            document = json.loads(read_text(file))
            steps = tuple(
                EnsembleStep(step["unite"], step["tta"])
                if "unite" in step
                else TrainStep(step["train"], RunConfig.build(step["config"]), step["linked"])
                for step in document["steps"]
            )
            runs = tuple(map(Path, document["runs"]))
            if any(step.linked for step in steps[:1] if isinstance(step, TrainStep)):
                raise ValueError("its first step is linked to none")
            if len(runs) > len(steps):
                raise ValueError("it has more runs than steps")
            return cls(str(document["recipe"]), steps, runs)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{safe_text(file)}: not a readable plan ({format_error(error)})"
            ) from error

    def resolve_starts(self, resolve: Callable[[str], str]) -> Plan:
        """The plan with its starts resolved now, so that `last` is the same run for all."""
        return replace(self, steps=tuple(_resolve_start(step, resolve) for step in self.steps))

    @property
    def next(self) -> Step | None:
        """The next step; None if all are done or one has not finished."""
        if self.failed or len(self.runs) == len(self.steps):
            return None
        step = self.steps[len(self.runs)]
        if isinstance(step, EnsembleStep):
            return replace(step, runs=self.runs)
        if step.linked:
            return replace(step, config=step.config.changed(start=str(self.runs[-1])))
        return step

    def advance(self, reason: str | None, run: Path) -> Plan:
        """The plan after a step that ended for `reason`; none follows one that did not finish."""
        return replace(self, runs=(*self.runs, run), failed=reason != FINISHED)

    @property
    def remaining(self) -> int:
        """Number of steps that have not been carried out."""
        return len(self.steps) - len(self.runs)

    @property
    def heading(self) -> str:
        """The position of the next step, as `stage 1 of 2: pretrain`; empty for a single step."""
        if len(self.steps) < 2 or not self.remaining:
            return ""
        name = self.steps[len(self.runs)].name
        if isinstance(self.steps[-1], EnsembleStep):
            return name
        return f"stage {len(self.runs) + 1} of {len(self.steps)}: {name}"


def _resolve_start(step: Step, resolve: Callable[[str], str]) -> Step:
    if isinstance(step, EnsembleStep) or step.linked or step.config.start is None:
        return step
    return replace(step, config=step.config.changed(start=resolve(step.config.start)))


def _stages(recipe: Recipe, changes: Mapping[str, Any]) -> list[Step]:
    steps: list[Step] = []
    for position, stage in enumerate(recipe.stages):
        values = {**changes, "recipe": f"{recipe.name}-{stage.name}"}
        if position:
            values["start"] = _PREVIOUS_RUN
        values.update(stage.run)
        if values.get("start") == NO_START:
            values["start"] = None
        linked = values.get("start") == _PREVIOUS_RUN
        steps.append(TrainStep(stage.name, recipe.config(**values), linked))
    return steps


def _members(recipe: Recipe, members: EnsembleMembers, changes: dict[str, Any]) -> list[Step]:
    tta = changes.pop("tta", members.tta)
    first = recipe.config(**changes)
    # Reject invalid views now, not after all members have been trained.
    first.changed(tta=tta)
    return _members_and_ensemble(first, members.seeds, tta)


def _members_and_ensemble(first: RunConfig, seeds: int, tta: str) -> list[Step]:
    steps: list[Step] = [
        TrainStep(f"member {number + 1} of {seeds}", first.changed(seed=first.seed + number))
        for number in range(seeds)
    ]
    return [*steps, EnsembleStep(f"ensemble of {seeds}", tta)]

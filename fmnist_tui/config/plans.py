"""Plans: what is to be trained for a recipe, in which order, and what comes next.

A plan knows nothing of how training is done. Whoever carries it out, a command or the
dashboard, asks for the `next` step, does it, and says how it `ended`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fmnist_tui.config.recipes import Members, Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

# Stands for the run before until there is one, so that the settings can be checked.
_RUN_BEFORE = "the run before"


@dataclass(frozen=True, slots=True)
class TrainStep:
    """A training. `name` is what the recipe calls it; a `linked` one begins with the weights
    of the run before."""

    name: str
    config: RunConfig
    linked: bool = False


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """The runs of a plan made into one ensemble."""

    name: str
    tta: str
    runs: tuple[Path, ...] = ()


Step = TrainStep | EnsembleStep


def first_run(recipe: Recipe) -> tuple[RunConfig, str]:
    """The config of a recipe's first run, and its heading where the recipe has several."""
    plan = Plan.of(recipe)
    first = plan.next
    assert isinstance(first, TrainStep), "a plan begins with a training"
    return first.config, plan.heading


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a recipe, and the runs that those behind it have left."""

    recipe: str
    steps: tuple[Step, ...]
    runs: tuple[Path, ...] = ()
    broken: bool = False

    @classmethod
    def of(cls, recipe: Recipe, changes: Mapping[str, Any] | None = None) -> Plan:
        """What a recipe comes to, with changes that hold for every run of it, but for what a
        stage sets itself. A ConfigError where one of the runs would be impossible."""
        given = dict(changes or {})
        steps: list[Step]
        if recipe.stages:
            steps = [*_stages(recipe, given)]
        elif recipe.ensemble is not None:
            steps = [*_members(recipe, recipe.ensemble, given)]
        else:
            steps = [TrainStep("", recipe.config(**given))]
        return cls(recipe.name, tuple(steps))

    @classmethod
    def of_seeds(cls, config: RunConfig, seeds: int) -> Plan:
        """The run with so many seeds from its own on, and an ensemble of them by its views."""
        return cls(config.recipe, tuple(_united(config, Members(seeds, config.tta))))

    @classmethod
    def beginning_with(cls, config: RunConfig, recipe: Recipe) -> Plan:
        """A recipe whose first run is to be just this one: what differs in it from the
        recipe's own holds for those that follow too."""
        first = cls.of(recipe).steps[0]
        assert isinstance(first, TrainStep), "a plan begins with a training"
        changes = {key: mine for key, (mine, _) in config.differences(first.config).items()}
        plan = cls.of(recipe, changes)
        return replace(plan, steps=(replace(first, config=config), *plan.steps[1:]))

    def kept(self) -> str:
        """The plan as text, for another process to read and go on with."""
        steps = [
            {"unite": step.name, "tta": step.tta}
            if isinstance(step, EnsembleStep)
            else {"train": step.name, "config": step.config.model_dump(), "linked": step.linked}
            for step in self.steps
        ]
        return json.dumps({"recipe": self.recipe, "steps": steps, "runs": [*map(str, self.runs)]})

    @classmethod
    def read(cls, file: Path) -> Plan:
        """A plan that was kept in a file; a UserError where there is none that can be read."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            steps = tuple(
                EnsembleStep(one["unite"], one["tta"])
                if "unite" in one
                else TrainStep(one["train"], RunConfig.build(one["config"]), one["linked"])
                for one in found["steps"]
            )
            return cls(str(found["recipe"]), steps, tuple(map(Path, found["runs"])))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            why = f"{safe_text(file)}: no plan that can be read ({reason(error)})"
            raise UserError(why) from error

    def settled(self, found: Callable[[str], str]) -> Plan:
        """The plan with what its runs begin with `found` now: `last` is to be the same run for
        all of them."""
        return replace(self, steps=tuple(_settled(step, found) for step in self.steps))

    @property
    def next(self) -> Step | None:
        """The step to be done now; None where all are done, or one has not finished."""
        if self.broken or len(self.runs) == len(self.steps):
            return None
        step = self.steps[len(self.runs)]
        if isinstance(step, EnsembleStep):
            return replace(step, runs=self.runs)
        if step.linked:
            return replace(step, config=step.config.changed(start=str(self.runs[-1])))
        return step

    def ended(self, reason: str | None, run: Path) -> Plan:
        """The plan with one more step behind it, which ended so (None where nobody said how)
        and left this run. A run that has not finished is followed by no other."""
        return replace(self, runs=(*self.runs, run), broken=reason != FINISHED)

    @property
    def left(self) -> int:
        """How many steps are still to be done, or will not be."""
        return len(self.steps) - len(self.runs)

    @property
    def heading(self) -> str:
        """The next step among all of them: `stage 1 of 2: pretrain`; nothing for one alone."""
        if len(self.steps) < 2 or not self.left:
            return ""
        place = len(self.runs)
        step = self.steps[place]
        if isinstance(self.steps[-1], EnsembleStep):
            return step.name
        return f"stage {place + 1} of {len(self.steps)}: {step.name}"


def _settled(step: Step, found: Callable[[str], str]) -> Step:
    if isinstance(step, EnsembleStep) or step.linked or step.config.start is None:
        return step
    return replace(step, config=step.config.changed(start=found(step.config.start)))


def _stages(recipe: Recipe, given: Mapping[str, Any]) -> list[TrainStep]:
    steps = []
    for place, stage in enumerate(recipe.stages):
        values = {**given, "recipe": f"{recipe.name}-{stage.name}"}
        if place:
            values["start"] = _RUN_BEFORE
        values.update(stage.run)
        linked = values.get("start") == _RUN_BEFORE
        steps.append(TrainStep(stage.name, recipe.config(**values), linked))
    return steps


def _members(recipe: Recipe, members: Members, given: Mapping[str, Any]) -> list[Step]:
    views = given.get("tta", members.tta)
    first = recipe.config(**{key: value for key, value in given.items() if key != "tta"})
    # Impossible views are to be refused now, not when all members have been trained.
    first.changed(tta=views)
    return _united(first, Members(members.seeds, views))


def _united(first: RunConfig, members: Members) -> list[Step]:
    steps: list[Step] = [
        TrainStep(f"member {place + 1} of {members.seeds}", first.changed(seed=first.seed + place))
        for place in range(members.seeds)
    ]
    return [*steps, EnsembleStep(f"ensemble of {members.seeds}", members.tta)]

"""What is known of the recipes: measured figures, runs of them here, seconds expected here."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config import recipes
from fmnist_tui.config.recipes import Measurement, Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import FINISHED, TRAIN
from fmnist_tui.runs.listing import RunSummary, list_runs
from fmnist_tui.util.errors import UserError

# Settings that a run of a recipe may change and still be one.
_FREE = frozenset({"seed", "threads", "precision", "compile", "cuda_graph", "checkpoint_seconds"})


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """`last_run` is the newest finished run on this machine with the recipe's own settings;
    `expected_seconds` in training steps are those of that run, or the measured ones, converted by
    how fast this machine has trained other recipes. None is unknown."""

    recipe: Recipe
    last_run: RunSummary | None = None
    expected_seconds: float | None = None

    @property
    def measured(self) -> Measurement | None:
        return self.recipe.result


def load_recipes() -> list[Recipe]:
    """Every recipe that can be read."""
    loaded = []
    for name in recipes.recipe_names():
        with contextlib.suppress(UserError):
            loaded.append(recipes.load_recipe(name))
    return loaded


def read_recipe_facts(runs_dir: Path) -> list[RecipeFacts]:
    """The facts of every readable recipe. Slow: it lists the runs."""
    finished = [run for run in list_runs(runs_dir) if run.kind == TRAIN and run.state == FINISHED]
    return find_facts(load_recipes(), finished)


def find_facts(loaded: Sequence[Recipe], finished: Sequence[RunSummary]) -> list[RecipeFacts]:
    """The facts of these recipes, from finished trainings, newest first."""
    runs = {recipe.name: _find_run(recipe, finished) for recipe in loaded}
    speeds = [
        run.train_seconds / result.train_seconds
        for recipe in loaded
        if (run := runs[recipe.name]) and (result := recipe.result) and run.train_seconds
    ]
    slower = statistics.median(speeds) if speeds else None
    return [
        RecipeFacts(each, runs[each.name], _expect(each, runs[each.name], slower))
        for each in loaded
    ]


def _expect(recipe: Recipe, run: RunSummary | None, slower: float | None) -> float | None:
    if run is not None and run.train_seconds:
        return run.train_seconds
    if recipe.result is None or slower is None:
        return None
    return recipe.result.train_seconds * slower


def _find_run(recipe: Recipe, finished: Sequence[RunSummary]) -> RunSummary | None:
    """The newest run of a recipe of one run, with its settings."""
    if recipe.stages or recipe.ensemble is not None:
        return None
    with contextlib.suppress(UserError):
        own = recipe.config()
        for run in finished:
            if run.recipe == recipe.name and _has_settings(run, own):
                return run
    return None


def _has_settings(run: RunSummary, own: RunConfig) -> bool:
    """Whether a run has the settings of a recipe, except for those that are the user's."""
    try:
        config = RunConfig.build(recipes.read_recipe(run.run.config).values)
    except UserError:
        return False
    return config.differences(own).keys() <= _FREE

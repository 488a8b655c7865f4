"""What is known of the recipes: measured figures, runs of them here, seconds expected here."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config import recipes
from fmnist_tui.config.measurement import SECONDS, Measurement
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import FINISHED, TRAIN
from fmnist_tui.runs.listing import RunSummary, list_runs
from fmnist_tui.util.errors import UserError

# Settings that a run of a recipe may change and still be one.
_FREE = frozenset(
    {
        *("seed", "threads", "precision", "deterministic", "compile", "cuda_graph"),
        "checkpoint_seconds",
    }
)


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """`last_run` is the newest finished run on this machine with the recipe's own settings;
    `expected_seconds` are those of that run, or the measured ones, converted by how fast this
    machine has trained other recipes: warm wall time where it is known, or else the time in
    training steps. None is unknown."""

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
    found = {recipe.name: _find_runs(recipe, finished) for recipe in loaded}
    factors = [factor for _, factor in found.values() if factor is not None]
    slower = statistics.median(factors) if factors else None
    return [
        RecipeFacts(each, run, _expect(each, run, slower))
        for each, run in ((recipe, found[recipe.name][0]) for recipe in loaded)
    ]


def _expect(recipe: Recipe, run: RunSummary | None, slower: float | None) -> float | None:
    if run is not None and (seconds := run.warm_seconds or run.train_seconds):
        return seconds
    if recipe.result is None or slower is None:
        return None
    return recipe.result.seconds * slower


def _find_runs(
    recipe: Recipe, finished: Sequence[RunSummary]
) -> tuple[RunSummary | None, float | None]:
    """The newest run with the settings of a recipe of one run, and how many times the measured
    seconds an epoch of it has taken here, where only the number of epochs may differ too."""
    newest, slower = None, None
    if recipe.stages or recipe.ensemble is not None:
        return newest, slower
    with contextlib.suppress(UserError):
        own = recipe.config()
        for run in finished:
            if run.recipe != recipe.name:
                continue
            changed = _changed_settings(run, own)
            if changed is None or not changed <= {"epochs"}:
                continue
            if slower is None and recipe.result and run.epochs_done:
                slower = _compare(run, recipe.result, own.epochs / run.epochs_done)
            if not changed:
                newest = run
                break
    return newest, slower


def _compare(run: RunSummary, measured: Measurement, share: float) -> float | None:
    """How many times the measured seconds a run of that share of the epochs has taken; only seconds
    of one kind are compared."""
    for kind in SECONDS:
        seconds, expected = getattr(run, kind), getattr(measured, kind)
        if seconds and expected:
            return float(seconds * share / expected)
    return None


def _changed_settings(run: RunSummary, own: RunConfig) -> AbstractSet[str] | None:
    """The settings in which a run differs from a recipe, except for those that are the user's."""
    try:
        config = RunConfig.build(recipes.read_recipe(run.run.config).values)
    except UserError:
        return None
    return config.differences(own).keys() - _FREE

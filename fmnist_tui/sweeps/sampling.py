"""How the settings of a trial are sampled and when it is pruned, by Optuna.

Imports Optuna, so it is itself imported only where a study is worked on.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from fmnist_tui.sweeps.space import Dimension, Value
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.sweeps.trial_states import RETRY_OF, WORKER


def build_distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """The search space as Optuna's distributions."""
    return {dimension.key: _distribution(dimension) for dimension in spec.space}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.is_integer:
        step = int(dimension.step or 1)
        return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, step)
    return FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)


def build_pruner(spec: SweepSpec) -> BasePruner:
    if spec.pruner == "median":
        return MedianPruner(n_startup_trials=spec.startup)
    if spec.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=spec.base.epochs, reduction_factor=3)
    return NopPruner()


class NumberedSampler(BaseSampler):
    """A sampler seeded anew for each trial, from the sweep's seed and the trial's number.

    Workers that share a seed draw different settings, and a trial's draw does not depend on
    which worker ran the trials before it. Grid points are assigned by trial number, so no two
    workers take the same one."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._distributions = build_distributions(spec)
        self._inner: BaseSampler = RandomSampler(seed=spec.seed)
        self._grid = _grid_points(spec) if spec.sampler == "grid" else []

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        seed = random.Random(f"{self._spec.seed} {trial.number}").getrandbits(32)
        if self._spec.sampler == "tpe":
            self._inner = TPESampler(seed=seed, n_startup_trials=self._spec.startup)
        else:
            self._inner = RandomSampler(seed=seed)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        if self._grid:
            return self._distributions
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not self._grid:
            return self._inner.sample_relative(study, trial, search_space)
        index = sum(
            other.number < trial.number and _takes_point(other)
            for other in study.get_trials(deepcopy=False)
        )
        return dict(self._grid[index % len(self._grid)])

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self._inner.after_trial(study, trial, state, values)


def _takes_point(trial: FrozenTrial) -> bool:
    """Whether a trial has a grid point of its own: it repeats no other, and did not lose its
    worker before it was known."""
    is_abandoned = trial.state.is_finished() and WORKER not in trial.user_attrs
    return RETRY_OF not in trial.user_attrs and not is_abandoned


def _grid_points(spec: SweepSpec) -> list[dict[str, Value]]:
    """Every point, shuffled: any first part of the list is then a fair sample."""
    keys = [dimension.key for dimension in spec.space]
    values = [dimension.points() or () for dimension in spec.space]
    points = [dict(zip(keys, point, strict=True)) for point in itertools.product(*values)]
    random.Random(spec.seed).shuffle(points)
    return points


def typed_params(params: Mapping[str, Any], spec: SweepSpec) -> dict[str, Value]:
    """A trial's parameters with the types of RunConfig, in the order of the sweep file."""
    return {
        dimension.key: int(params[dimension.key]) if dimension.is_integer else params[dimension.key]
        for dimension in spec.space
        if dimension.key in params
    }

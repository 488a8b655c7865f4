"""How a sweep's next trial is chosen, and when one is given up: Optuna's samplers and pruners.

This room imports Optuna; it is itself imported where a study is worked on.
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

# Of a trial that does another's settings again: that one's number.
AGAIN = "again"


def distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """The search space as Optuna has it."""
    return {dimension.key: _distribution(dimension) for dimension in spec.space}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.whole:
        step = int(dimension.step or 1)
        return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, step)
    return FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)


def pruner(spec: SweepSpec) -> BasePruner:
    if spec.pruner == "median":
        return MedianPruner(n_startup_trials=spec.startup)
    if spec.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=spec.base.epochs, reduction_factor=3)
    return NopPruner()


class NumberedSampler(BaseSampler):
    """The sampler of a sweep, its dice thrown anew for each trial by seed and trial number.

    Workers with the same file and seed then never draw the same values, and a trial's draw
    does not depend on which of them did the ones before. A grid's points go by the trials'
    numbers for the same reason: no two workers can take the same one."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._distributions = distributions(spec)
        self._inner: BaseSampler = RandomSampler(seed=spec.seed)
        self._grid: list[dict[str, Value]] = _grid(spec) if spec.sampler == "grid" else []

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
        before = study.get_trials(deepcopy=False)
        place = sum(one.number < trial.number and AGAIN not in one.user_attrs for one in before)
        return dict(self._grid[place % len(self._grid)])

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


def _grid(spec: SweepSpec) -> list[dict[str, Value]]:
    """Every point, in an order without a system: a part of it is then a fair sample."""
    keys = [dimension.key for dimension in spec.space]
    values = [dimension.points() or () for dimension in spec.space]
    found = [dict(zip(keys, point, strict=True)) for point in itertools.product(*values)]
    random.Random(spec.seed).shuffle(found)
    return found


def plain(params: Mapping[str, Any], spec: SweepSpec) -> dict[str, Value]:
    """A trial's parameters as RunConfig wants them, in the order of the file."""
    return {
        dimension.key: int(params[dimension.key]) if dimension.whole else params[dimension.key]
        for dimension in spec.space
        if dimension.key in params
    }

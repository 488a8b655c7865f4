"""Warm wall time to a test accuracy, over several seeds in one process.

The number of epochs is chosen on the validation split, in trials that never read the test split;
then each seed trains that many and reads the test split once, at its end.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fmnist_tui.bench.gpu.budget import Budget
from fmnist_tui.config import recipes
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.errors import UserError

DATASET, MNIST = "fashion", "mnist"
SEEDS = 5
# Seeds of the trials that choose, and of the one that warms the process up
TRIAL_SEEDS, WARM_UP_SEED = (1000, 1001), 2000
# The validation images are easier: their accuracy was up to 0.9 points higher than the test's.
MARGIN = 0.009
TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Target:
    """An accuracy, the recipe whose settings are to reach it, the numbers of epochs to try in
    turn, and about how long all that takes."""

    accuracy: float
    recipe: str
    epochs: tuple[int, ...]
    seconds: float
    changes: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = DATASET

    @property
    def name(self) -> str:
        on = "" if self.dataset == DATASET else f" on {self.dataset}"
        return f"time to {100 * self.accuracy:g} %{on} by {self.recipe}"


TARGETS = (
    Target(0.94, "fast", (6, 8, 10, 14, 20), 60),
    Target(0.94, "sprint", (4, 6, 8, 11, 15), 60),
    Target(0.9017, "fast", (1, 2, 3, 4), 25),
    Target(0.99, "fast", (1, 2, 3, 4), 25, dataset=MNIST),
    Target(0.95, "sprint", (16, 24, 36), 120, {"width": 3.0}),
    Target(0.95, "best", (8, 12, 18, 27, 40), 240),
    Target(0.96, "best", (120, 200), 900),
)


@dataclass(frozen=True, slots=True)
class AccuracyTime:
    """What the seeds have reached: test accuracies, and warm wall seconds; `val` is that of the
    trials which chose the number of epochs."""

    target: Target
    epochs: int
    val: float
    accuracies: tuple[float, ...]
    seconds: tuple[float, ...]
    step_seconds: tuple[float, ...]

    @property
    def is_reached(self) -> bool:
        return statistics.fmean(self.accuracies) >= self.target.accuracy

    def to_plain(self) -> dict[str, Any]:
        target = {
            key: asdict(self.target)[key] for key in ("accuracy", "recipe", "changes", "dataset")
        }
        return {**asdict(self), "target": target, "reached": self.is_reached}


class AccuracyTimer:
    """Trains in one session; the first training warms the process up and does not count."""

    def __init__(
        self, session: Session, trials_dir: Path, budget: Budget, say: Callable[[str], None]
    ) -> None:
        self._session, self._trials_dir = session, trials_dir
        self._budget, self._say = budget, say

    def measure(
        self, target: Target, changes: dict[str, Any], seeds: int = SEEDS, margin: float = MARGIN
    ) -> AccuracyTime | None:
        """Choose the number of epochs, then train the seeds; None if that is not possible."""
        what = target.name
        if not self._budget.allows(what, target.seconds):
            return None
        # So that the first of the trials that choose is not slower than the others.
        self._train(target, target.epochs[0], WARM_UP_SEED, changes, is_trial=True)
        chosen = self._choose(target, changes, margin)
        if chosen is None:
            tried = f"none of {', '.join(map(str, target.epochs))} epochs"
            goal = f"{100 * (target.accuracy + margin):.2f} %"
            self._budget.leave_out(f"{what}: {tried} reach {goal} on validation")
            return None
        epochs, val, seconds = chosen
        if not self._budget.allows(f"{what}, {seeds} seeds", seeds * seconds):
            return None
        states = [self._train(target, epochs, seed, changes) for seed in range(seeds)]
        tests = [state.evaluation("test") for state in states]
        measured = AccuracyTime(
            target,
            epochs,
            val,
            tuple(test.accuracy for test in tests if test is not None),
            tuple(state.warm_seconds or 0.0 for state in states),
            tuple(state.train_seconds for state in states),
        )
        self._say(f"{what}: {format_accuracy_time(measured)}")
        return measured

    def _choose(
        self, target: Target, changes: dict[str, Any], margin: float
    ) -> tuple[int, float, float] | None:
        """The first number of epochs that is enough on validation, its accuracy, and the wall
        seconds of a run."""
        for epochs in target.epochs:
            states = [
                self._train(target, epochs, seed, changes, is_trial=True) for seed in TRIAL_SEEDS
            ]
            evaluated = [state.evaluation("val") for state in states]
            val = statistics.fmean(each.accuracy for each in evaluated if each is not None)
            self._say(f"{target.recipe}, {epochs} epochs: {100 * val:.2f} % on validation")
            if val >= target.accuracy + margin:
                return epochs, val, max(state.seconds for state in states)
        return None

    def _train(
        self,
        target: Target,
        epochs: int,
        seed: int,
        changes: dict[str, Any],
        is_trial: bool = False,
    ) -> RunState:
        recipe = recipes.load_recipe(target.recipe)
        settings = {"dataset": target.dataset, "epochs": epochs, "seed": seed}
        config = recipe.config(**{**target.changes, **changes, **settings})
        session = self._session
        training = (
            session.run_trial(config, self._trials_dir) if is_trial else session.train(config)
        )
        return wait_for_end(training)


def wait_for_end(training: Training) -> RunState:
    """Wait until a training has finished; a UserError if it did not."""
    if not training.wait(TIMEOUT_SECONDS):
        raise UserError("a training of the benchmark did not end")
    if training.error is not None:
        raise training.error
    assert training.folder is not None, "it has started"
    state = replay(training.folder.events)
    if state.end_reason != FINISHED:
        raise UserError(f"a training of the benchmark has {state.end_reason}: {state.message}")
    return state


def format_accuracy_time(measured: AccuracyTime) -> str:
    """`94.05 ± 0.06 % in 1.31 ± 0.02 s (10 epochs, 5 seeds)`."""
    accuracy = format_spread([100 * each for each in measured.accuracies])
    return (
        f"{accuracy} % in {format_spread(measured.seconds)} s"
        f" ({measured.epochs} epochs, {len(measured.seconds)} seeds)"
    )


def format_spread(values: list[float] | tuple[float, ...]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{deviation}"

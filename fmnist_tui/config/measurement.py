"""What recipes have reached when they were measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

# Warm wall time (see `RunClock`), and seconds in training steps
WARM_SECONDS, STEP_SECONDS = "warm_seconds", "train_seconds"
SECONDS = (WARM_SECONDS, STEP_SECONDS)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a recipe (or a stage of it) has reached on the test split of `data`, as mean and
    standard deviation over `seeds`; `warm_seconds` are those from the first step to usable weights
    and `train_seconds` those in training steps, one of them or both, `on` a machine, which has a
    GPU that the settings of [gpu] are for or has not. `parameters` are the model's."""

    test_accuracy: float
    on: str
    warm_seconds: float | None = None
    train_seconds: float | None = None
    sd: float = 0.0
    seeds: int = 1
    data: str = "Fashion-MNIST"
    gpu: bool = False
    stage: str = ""
    parameters: int = 0

    @property
    def seconds(self) -> float:
        """The warm wall time or, where only they were measured, the seconds in training steps."""
        return self.warm_seconds or self.train_seconds or 0.0


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum, None if one of them is not known."""
    known = list(values)
    return None if None in known else sum(value or 0.0 for value in known)


def add_up(stages: Sequence[Measurement]) -> Measurement | None:
    """The last stage, after the seconds of all; None if there is none."""
    if not stages:
        return None
    return replace(
        stages[-1],
        warm_seconds=_sum(each.warm_seconds for each in stages),
        train_seconds=_sum(each.train_seconds for each in stages),
    )


def format_result(measured: Measurement) -> str:
    """`91.69 ± 0.14 %`, of one seed without a deviation."""
    deviation = f" ± {measured.sd * 100:.2f}" if measured.seeds > 1 else ""
    return f"{measured.test_accuracy * 100:.2f}{deviation} %"

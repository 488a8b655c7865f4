"""The learning-rate schedule: a pure function of the step."""

from __future__ import annotations

import math

from fmnist_tui.config.run_config import RunConfig

ONECYCLE_WARMUP = 0.25
FLOOR = 0.01


def learning_rate(config: RunConfig, step: int, total: int) -> float:
    """The learning rate of step `step` (counted from 0) of `total`."""
    return config.lr * schedule_factor(config.schedule, step, total, config.warmup)


def schedule_factor(schedule: str, step: int, total: int, warmup: float = 0.0) -> float:
    """The learning rate at `step` as a fraction of its peak: linear warm-up, then the schedule."""
    if schedule == "onecycle" and not warmup:
        warmup = ONECYCLE_WARMUP
    warmup_steps = warmup * total
    if step < warmup_steps:
        return max((step + 1) / (warmup_steps + 1), FLOOR)
    # 0 at the peak, 1 at the end
    done = (step - warmup_steps) / max(1.0, total - warmup_steps)
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        return 0.1 ** (0 if done < 0.5 else 1 if done < 0.75 else 2)
    if schedule == "cosine":
        return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2
    # linear and onecycle: straight down to almost zero
    return max(1 - done, FLOOR / 10)

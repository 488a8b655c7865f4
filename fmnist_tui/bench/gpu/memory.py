"""Whether memory grows from training to training of one session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from fmnist_tui.bench.gpu.accuracy_time import wait_for_end
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.session.session import Session
from fmnist_tui.util.formatting import MEGABYTE

TRAININGS = 20


@dataclass(frozen=True, slots=True)
class MemoryGrowth:
    """MB after each training: of the process, and on the GPU those of tensors and those that torch
    has reserved (none on a CPU)."""

    resident_mb: tuple[float, ...]
    allocated_mb: tuple[float, ...]
    reserved_mb: tuple[float, ...]

    def growth(self, values: tuple[float, ...]) -> float | None:
        """From the second training to the last: the first loads libraries."""
        return values[-1] - values[1] if len(values) > 2 else None


def measure_growth(
    session: Session, settings: dict[str, Any], trials_dir: Path, count: int = TRAININGS
) -> MemoryGrowth:
    """Train `count` times, each time with another seed, without reading the test split."""
    resident, allocated, reserved = [], [], []
    for seed in range(count):
        config = RunConfig.build({**settings, "seed": seed})
        wait_for_end(session.run_trial(config, trials_dir))
        resident.append(psutil.Process().memory_info().rss / MEGABYTE)
        if torch.cuda.is_available():
            allocated.append(torch.cuda.memory_allocated() / MEGABYTE)
            reserved.append(torch.cuda.memory_reserved() / MEGABYTE)
    return MemoryGrowth(tuple(resident), tuple(allocated), tuple(reserved))

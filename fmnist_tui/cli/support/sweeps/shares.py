"""What each of several workers of a sweep gets of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config.gpu_detect import will_use_gpu
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.util.formatting import format_count

# Set for one of several workers: the folder that they share.
GROUP_VARIABLE = "FMNIST_TUI_SWEEP_GROUP"


def shared_folder() -> Path | None:
    """The folder that this worker shares with others; None if it is alone."""
    name = os.environ.get(GROUP_VARIABLE)
    return Path(name) if name else None


@dataclass(frozen=True, slots=True)
class Share:
    """A worker's part of the machine: CPU threads, and a GPU of its own (or any, if empty)."""

    threads: int
    gpu: str = ""

    def __str__(self) -> str:
        threads = format_count(self.threads, "thread")
        return f"GPU {self.gpu}, {threads}" if self.gpu else threads


def share_machine(
    config: RunConfig, workers: int, gpus: Sequence[str], cpus: int
) -> tuple[list[Share], list[str]]:
    """The share of each worker, and what the user should know about it."""
    threads = [
        config.threads or max(1, cpus // workers + (number < cpus % workers))
        for number in range(workers)
    ]
    notes = []
    if workers > cpus and config.threads is None:
        notes.append(f"{workers} workers share {format_count(cpus, 'CPU')}")
    chosen: list[str] = []
    if config.device in ("auto", "cuda") and will_use_gpu(config.device):
        chosen = list(gpus)
        if chosen and workers > len(chosen):
            notes.append(f"{workers} workers share {format_count(len(chosen), 'GPU')}")
    elif config.device not in ("auto", "cpu"):
        notes.append(f"{workers} workers share device {config.device}")
    return [
        Share(count, chosen[number % len(chosen)] if chosen else "")
        for number, count in enumerate(threads)
    ], notes

"""Everything that is measured on a GPU, the most telling first, within a limit of time."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fmnist_tui.bench.gpu import dashboard
from fmnist_tui.bench.gpu.accuracy_time import (
    DATASET,
    TARGETS,
    AccuracyTime,
    AccuracyTimer,
    Target,
)
from fmnist_tui.bench.gpu.budget import Budget
from fmnist_tui.bench.gpu.dashboard import DashboardCost, measure_dashboard
from fmnist_tui.bench.gpu.loops import MODELS, LoopRow, compare_loops
from fmnist_tui.bench.gpu.memory import MemoryGrowth, measure_growth
from fmnist_tui.bench.gpu.sides import Work
from fmnist_tui.bench.machine import NO_GPU
from fmnist_tui.data.load import is_present, load_dataset
from fmnist_tui.engine.session.session import Session
from fmnist_tui.util.errors import UserError

# About what 20 short trainings take
MEMORY_SECONDS = 40
# So many targets are measured first: they take a minute or two.
QUICK = 5
TIMES, MEMORY, DASHBOARD, THROUGHPUT = "times", "memory", "dashboard", "throughput"
PARTS = (TIMES, MEMORY, DASHBOARD, THROUGHPUT)


@dataclass(frozen=True, slots=True)
class GpuReport:
    """Everything that was measured, and what was not, with the reason."""

    times: tuple[AccuracyTime, ...]
    loops: tuple[LoopRow, ...]
    dashboard: DashboardCost | None
    memory: MemoryGrowth | None
    left_out: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        return {
            "times": [each.to_plain() for each in self.times],
            "throughput": [_row_to_plain(row) for row in self.loops],
            "dashboard": self.dashboard.to_plain() if self.dashboard else None,
            "memory": asdict(self.memory) if self.memory else None,
            "left_out": list(self.left_out),
        }


def measure_gpu(
    data_dir: Path,
    seconds: float,
    say: Callable[[str], None],
    parts: Collection[str] = PARTS,
    device: str = "cuda",
    targets: tuple[Target, ...] = TARGETS,
) -> GpuReport:
    """Measure what fits into so many seconds; what fails is left out, and the rest goes on."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{NO_GPU}: nothing was measured")
    load_dataset(DATASET, data_dir=data_dir)
    budget = Budget(seconds, say)
    times: list[AccuracyTime] = []
    growth, screen = None, None
    loops: tuple[LoopRow, ...] = ()
    with _session(data_dir) as (session, trials_dir):
        if TIMES in parts:
            times += _measure_times(targets[:QUICK], device, session, trials_dir, budget, say)
        if MEMORY in parts and budget.allows("memory of 20 trainings", MEMORY_SECONDS):
            settings = {"model": "two-conv", "epochs": 2, "dataset": DATASET, "device": device}
            growth = budget.attempt(
                "memory of 20 trainings", lambda: measure_growth(session, settings, trials_dir)
            )
    if DASHBOARD in parts and budget.allows("dashboard", dashboard.SECONDS):
        environment = {"FMNIST_TUI_DEVICE": device, "FMNIST_TUI_BATCH_SIZE": "256"}
        screen = budget.attempt(
            "dashboard", lambda: measure_dashboard(data_dir, DATASET, environment, say)
        )
    if THROUGHPUT in parts:
        works = [Work(str(data_dir), DATASET, device, model, batch) for model, batch in MODELS]
        loops = compare_loops(works, budget, say)
    with _session(data_dir) as (session, trials_dir):
        if TIMES in parts:
            times += _measure_times(targets[QUICK:], device, session, trials_dir, budget, say)
    return GpuReport(tuple(times), loops, screen, growth, tuple(budget.left_out))


@contextlib.contextmanager
def _session(data_dir: Path) -> Iterator[tuple[Session, Path]]:
    """A session with folders of its own, and the folder of its trials."""
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-") as folder:
        root = Path(folder)
        with Session(root / "runs", data_dir) as session:
            yield session, root / "trials"


def _measure_times(
    targets: tuple[Target, ...],
    device: str,
    session: Session,
    trials_dir: Path,
    budget: Budget,
    say: Callable[[str], None],
) -> list[AccuracyTime]:
    timer, times = AccuracyTimer(session, trials_dir, budget, say), []
    for target in targets:
        if not is_present(target.dataset, session.data_dir):
            budget.leave_out(f"{target.name}: {target.dataset} is not on this machine")
            continue
        measured = budget.attempt(target.name, partial(timer.measure, target, {"device": device}))
        if measured is not None:
            times.append(measured)
    return times


def _row_to_plain(row: LoopRow) -> dict[str, Any]:
    sides = {
        name: {**asdict(side), "images_per_second": side.median} for name, side in row.sides.items()
    }
    ratios = {f"ratio_to_{name}": row.ratio(name) for name in ("plain", "tuned")}
    return {"model": row.model, "batch": row.batch, "dataset": DATASET, **ratios, "sides": sides}

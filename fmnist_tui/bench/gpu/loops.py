"""Images per second of the plain loop, a tuned loop and this program, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from fmnist_tui.bench.gpu.budget import Budget
from fmnist_tui.bench.gpu.sides import OURS, PLAIN, TUNED, Work
from fmnist_tui.bench.gpu.worker import LoopProcess
from fmnist_tui.util.errors import UserError

WINDOW_SECONDS = 5.0
TURNS = 3
# What building, compiling and warming up takes at most on a GPU machine, all three sides together
PREPARE_SECONDS = 60.0
# The textbook network at a small and a large batch, and one that keeps a GPU busy
MODELS = (("two-conv", 256), ("wide-resnet", 512), ("two-conv", 2048))


@dataclass(frozen=True, slots=True)
class SideSpeed:
    """Images per second in every window, and the peak of memory in MB. `whole` are those of the
    time with validation and saving."""

    precision: str
    runs: tuple[float, ...]
    whole: tuple[float, ...]
    allocated_mb: float | None = None
    reserved_mb: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def whole_median(self) -> float:
        return statistics.median(self.whole)


@dataclass(frozen=True, slots=True)
class LoopRow:
    """One model at one batch size, by side. A side that failed is missing."""

    model: str
    batch: int
    sides: dict[str, SideSpeed]

    def ratio(self, side: str) -> float | None:
        """How many times the speed of that side this program has."""
        if OURS not in self.sides or side not in self.sides:
            return None
        return self.sides[OURS].median / self.sides[side].median


def compare_loops(
    works: Sequence[Work],
    budget: Budget,
    say: Callable[[str], None],
    turns: int = TURNS,
    seconds: float = WINDOW_SECONDS,
) -> tuple[LoopRow, ...]:
    """Compare the sides on each work, `turns` windows each, in turns."""
    rows: list[LoopRow] = []
    with ExitStack() as stack:
        workers: dict[str, LoopProcess] = {}
        for work in works:
            what = f"throughput of {work.model}, batch {work.batch}"
            if not budget.allows(what, PREPARE_SECONDS + 3 * turns * seconds):
                continue
            if not workers:
                workers = {
                    name: stack.enter_context(LoopProcess(name)) for name in (PLAIN, TUNED, OURS)
                }
            rows.append(_compare(work, workers, turns, seconds, budget, say))
    return tuple(row for row in rows if row.sides)


def _compare(
    work: Work,
    workers: dict[str, LoopProcess],
    turns: int,
    seconds: float,
    budget: Budget,
    say: Callable[[str], None],
) -> LoopRow:
    sides: dict[str, SideSpeed] = {}
    failed = set()
    what = f"{work.model}, batch {work.batch}"
    for turn in range(turns):
        for name, worker in workers.items():
            if name in failed:
                continue
            try:
                if not turn:
                    sides[name] = SideSpeed(worker.prepare(work), (), ())
                window, *peaks = worker.train(seconds)
            except UserError as error:
                failed.add(name)
                sides.pop(name, None)
                budget.leave_out(f"{what}, {name}: {error}")
                continue
            side = sides[name]
            sides[name] = replace(
                side,
                runs=(*side.runs, window.images / window.seconds),
                whole=(*side.whole, window.images / window.whole_seconds),
                allocated_mb=peaks[0],
                reserved_mb=peaks[1],
            )
        speeds = ", ".join(f"{name} {side.runs[-1]:,.0f}" for name, side in sides.items())
        say(f"{what}, turn {turn + 1}/{turns}: {speeds} images/s")
    return LoopRow(work.model, work.batch, sides)

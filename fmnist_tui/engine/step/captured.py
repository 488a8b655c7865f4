"""Steps as CUDA graphs: one graph of a single step, and one of several where steps are short.

A graph reads its rows of indices and its learning rates from tables on the device, which are filled
before each replay. The same kernels run on the same numbers in the same order however many steps a
graph has, so the weights do not depend on it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from fmnist_tui.engine.step.cuda_graphs import CudaGraphs, Event, Graph
from fmnist_tui.engine.step.rates import RateTensors

WARM_UP_STEPS = 3
# Replays of a single step that are timed before the number of steps of the other graph is chosen.
TIMED_STEPS = 3
FEWEST, MOST = 8, 32
# Python launches a longer step in less time than it takes, so several at once bring nothing.
SHORT_STEP_MS = 1.0
# Commands are looked at between two replays.
REPLAY_MS = 20.0
# Replays that the run must have left: capturing takes as long as some dozens of them save.
REPLAYS = 100


class CapturedWork(Protocol):
    """What is captured."""

    def train_batch(self, indices: Tensor) -> None: ...

    def undo_on_failure(self) -> AbstractContextManager[None]:
        """Undo what a capture that fails has changed."""


def choose_size(step_ms: float, steps_per_epoch: int, left_in_run: int) -> int:
    """How many steps one graph has, 1 if several bring nothing."""
    most = min(MOST, int(REPLAY_MS / max(step_ms, 1e-3)), steps_per_epoch, left_in_run // REPLAYS)
    if step_ms >= SHORT_STEP_MS or most < FEWEST:
        return 1
    # the fewest launches for an epoch, whose last steps are single ones
    return min(range(FEWEST, most + 1), key=lambda size: sum(divmod(steps_per_epoch, size)))


class CapturedSteps:
    """The graphs of one `TrainingStep`, with their tables."""

    def __init__(
        self,
        graphs: CudaGraphs,
        rates: RateTensors,
        batch_size: int,
        steps_per_epoch: int,
        device: torch.device,
    ) -> None:
        self._graphs, self._rates, self._steps_per_epoch = graphs, rates, steps_per_epoch
        self._pool = graphs.new_pool()
        self._indices = torch.zeros((MOST, batch_size), dtype=torch.int64, device=device)
        self._rate_pairs = torch.zeros((MOST, 2), dtype=torch.float32, device=device)
        self._warm_up_steps = 0
        self._captured: dict[int, Graph] = {}
        # the steps of every graph so far
        self.sizes: list[int] = []
        self.capture_seconds = 0.0
        self._timings: list[tuple[Event, Event]] = []
        # steps of the larger graph; None until it is chosen
        self._size: int | None = None

    def choose_count(self, left: int, left_in_run: int) -> int:
        """How many of the steps that are left can be launched at once."""
        if self._size is None and len(self._timings) == TIMED_STEPS:
            self._size = choose_size(self._measure_ms(), self._steps_per_epoch, left_in_run)
        return self._size if self._size is not None and self._size <= left else 1

    def launch(self, rows: Tensor, rates: Sequence[float], work: CapturedWork) -> int:
        """Launch the first steps; returns how many. Raises a CaptureFailedError."""
        count = self._size if self._size is not None and self._size <= len(rows) else 1
        self._indices[:count].copy_(rows[:count], non_blocking=True)
        self._graphs.upload([self._rates.pair(rate) for rate in rates[:count]], self._rate_pairs)
        if not self.sizes and self._warm_up_steps < WARM_UP_STEPS:
            self._warm_up_steps += 1
            self._graphs.warm_up(lambda: self._take(1, work))
            return 1
        if count not in self._captured:
            self._capture(count, work)
        self._replay(count)
        return count

    def close(self) -> None:
        """Free the graphs, once they have run, and their memory."""
        self._graphs.synchronize()
        while self._captured:
            self._captured.popitem()[1].reset()
        self._timings.clear()
        self._graphs.free_memory()

    def _capture(self, count: int, work: CapturedWork) -> None:
        # What is queued is training.
        self._graphs.synchronize()
        start = time.perf_counter()
        with work.undo_on_failure():
            graph = self._graphs.capture(lambda: self._take(count, work), self._pool)
        self._captured[count] = graph
        self.sizes.append(count)
        self.capture_seconds += time.perf_counter() - start

    def _take(self, count: int, work: CapturedWork) -> None:
        for at in range(count):
            self._rates.copy_from(self._rate_pairs[at])
            work.train_batch(self._indices[at])

    def _replay(self, count: int) -> None:
        graph = self._captured[count]
        if len(self._timings) == TIMED_STEPS:
            graph.replay()
            return
        start, end = self._graphs.new_event(), self._graphs.new_event()
        start.record()
        graph.replay()
        end.record()
        self._timings.append((start, end))

    def _measure_ms(self) -> float:
        """The time that the device takes for a step."""
        self._timings[-1][1].synchronize()
        return min(start.elapsed_time(end) for start, end in self._timings)

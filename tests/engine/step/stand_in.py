"""Stands in for the GPU: captured work is kept and done at each replay, and every call is noted.

A replay does on the CPU what a graph does on the GPU, with the numbers that are in the tables then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.step.cuda_graphs import CaptureFailedError, CudaGraphs, Graph, Pool


class StandInEvent:
    """Notes when it is recorded and waited for; `ms` is what is measured between any two."""

    def __init__(self, calls: list[str], ms: Callable[[], float]) -> None:
        self._calls, self._ms = calls, ms

    def record(self) -> None:
        self._calls.append("record")

    def synchronize(self) -> None:
        self._calls.append("wait")

    def elapsed_time(self, _: object) -> float:
        return self._ms()


class StandInGraph:
    """Work that may be done again, as long as it uses the tensors that it was captured with."""

    def __init__(self, work: Callable[[], None], number: int, graphs: StandInGraphs) -> None:
        self._work: Callable[[], None] | None = work
        self._name, self._calls = str(number), graphs.calls
        self._addresses = graphs.addresses
        self._captured = self._addresses()

    def replay(self) -> None:
        assert self._work is not None, "a graph is replayed after its reset"
        assert self._addresses() == self._captured, "the graph writes to unused tensors"
        self._calls.append(f"replay {self._name}")
        self._work()

    def reset(self) -> None:
        self._calls.append(f"reset {self._name}")
        self._work = None


class StandInGraphs(CudaGraphs):
    """Captures on the CPU. `failing` is the number of the capture that fails, from 0; `step_ms` the
    time of a step."""

    failing: int | None = None
    step_ms = 5.0
    # of all instances of one test
    calls: list[str]
    # where the tensors are that a graph writes to
    addresses: Callable[[], list[int]] = staticmethod(list)

    def new_pool(self) -> Pool:
        return 0, 1

    def upload(self, rows: Sequence[tuple[float, ...]], table: torch.Tensor) -> None:
        self.calls.append(f"fill {len(rows)}")
        table[: len(rows)].copy_(torch.tensor(rows))

    def warm_up(self, work: Callable[[], None]) -> None:
        self.calls.append("warm up")
        work()

    def capture(self, work: Callable[[], None], pool: Pool) -> Graph:
        captures = sum(call.startswith("capture") for call in self.calls)
        self.calls.append(f"capture {captures}")
        if captures == self.failing:
            self.has_failed = True
            raise CaptureFailedError("operation not permitted when stream is capturing")
        return StandInGraph(work, captures, self)

    def new_event(self) -> StandInEvent:
        return StandInEvent(self.calls, lambda: self.step_ms)

    def free_memory(self) -> None:
        self.calls.append("free")

    def synchronize(self) -> None:
        self.calls.append("wait for all")


def use_stand_in(
    monkeypatch: pytest.MonkeyPatch, device: dict[str, str] | None = None, **values: object
) -> type[StandInGraphs]:
    """Let learners of the `Harness` and of sessions capture with a stand-in of its own."""
    changes: Any = {"cuda_graph": True, **(device or {})}
    kind = type("Graphs", (StandInGraphs,), {"calls": [], **values})
    monkeypatch.setattr("fmnist_tui.engine.training.learner.CudaGraphs", kind)
    for where in ("tests.engine.support", "fmnist_tui.engine.distributed.own_device"):
        monkeypatch.setattr(
            f"{where}.choose_device", lambda config: replace(choose_device(config), **changes)
        )
    return kind

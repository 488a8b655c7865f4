"""The calls of torch.cuda that captured steps need, and no others: a test replaces this class.

A capture that fails must leave nothing behind, for the run goes on without a graph. torch leaves
its random generator and its allocator in the middle of the capture; both are set right here.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from fmnist_tui.util.errors import format_error

# torch keeps pointers to a graph whose capture could not be ended.
_ABANDONED: list[torch.cuda.CUDAGraph] = []


class CaptureFailedError(Exception):
    """The steps could not be captured; everything is as it was before."""


# torch's type is private: two numbers
Pool = Any


class Graph(Protocol):
    """Captured work."""

    def replay(self) -> None: ...

    def reset(self) -> None: ...


class Event(Protocol):
    """A place in the queue of the device."""

    def record(self) -> None: ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, _: Any, /) -> float: ...


class CudaGraphs:
    """Captures work of one GPU. After a capture that failed, none is tried again."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.has_failed = False

    def new_pool(self) -> Pool:
        """A new pool of memory, for graphs that never run at the same time."""
        return torch.cuda.graph_pool_handle()

    def upload(self, rows: Sequence[tuple[float, ...]], table: Tensor) -> None:
        """Copy rows of numbers into the first rows of a table, without waiting for the GPU."""
        # torch reuses pinned memory only after the copies from it.
        table[: len(rows)].copy_(torch.tensor(rows, pin_memory=True), non_blocking=True)

    def warm_up(self, work: Callable[[], None]) -> None:
        """Do work on the stream of captures, as CUDA requires before a capture."""
        side, current = _side_stream(self._device), torch.cuda.current_stream(self._device)
        side.wait_stream(current)
        with torch.cuda.stream(side):
            work()
        current.wait_stream(side)

    def capture(self, work: Callable[[], None], pool: Pool) -> Graph:
        """Capture work, which does not do it; raise a CaptureFailedError if it cannot be."""
        side, current = _side_stream(self._device), torch.cuda.current_stream(self._device)
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()
        graph, failure = torch.cuda.CUDAGraph(), ""
        try:
            with torch.cuda.stream(side):
                graph.capture_begin(pool=pool)
                try:
                    work()
                except BaseException:
                    # Its own error only says that there was an earlier one.
                    with contextlib.suppress(RuntimeError):
                        graph.capture_end()
                    raise
                graph.capture_end()
        except Exception as error:  # noqa: BLE001 - a model or an optimiser of the user can raise anything
            failure = format_error(error)
            # Its frames hold tensors in the graph's memory.
            traceback.clear_frames(error.__traceback__)
        if failure:
            self.has_failed = True
            self._abandon(graph, pool)
            raise CaptureFailedError(failure)
        current.wait_stream(side)
        return graph

    def new_event(self) -> Event:
        return torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]

    def free_memory(self) -> None:
        """Give back the memory of graphs that have been reset."""
        # A GPU that has failed says so at the next call that needs it.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()

    def synchronize(self) -> None:
        """Wait for all queued work; of a GPU that has failed there is nothing to wait for."""
        with contextlib.suppress(RuntimeError):
            torch.cuda.synchronize(self._device)

    def _abandon(self, graph: torch.cuda.CUDAGraph, pool: Pool) -> None:
        """Undo what a capture that failed has left in torch. A GPU that has failed raises."""
        torch.cuda.synchronize(self._device)
        try:
            graph.pool()
        except RuntimeError:
            # The capture could not be ended: torch's allocator still waits for its end.
            for end in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
                with contextlib.suppress(AttributeError, RuntimeError, TypeError):
                    getattr(torch._C, end)(self._device.index, pool)
            _ABANDONED.append(graph)
        else:
            graph.reset()
        # The default generator counts numbers for the graph that was not captured, and would refuse
        # to draw any others: it gets a state of its own, with the same seed and position.
        default = torch.cuda.default_generators[self._device.index]
        fresh = torch.Generator(self._device)
        fresh.set_state(default.get_state())
        default.graphsafe_set_state(fresh)


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of this process for warming up and capturing on a GPU: memory that one
    capture has used is there for the next."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

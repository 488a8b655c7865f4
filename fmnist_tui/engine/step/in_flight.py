"""Bounds the work that is queued on a device, so that a command or a reading of the totals need
not wait for seconds of steps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import torch

from fmnist_tui.engine.step.cuda_graphs import CudaGraphs, Event

LIMIT_MS = 40.0
# Events in the ring: each stands for this part of the limit, or for one launch.
EVENTS = 8
# The shortest time of a step among so many events: the others include waits for the program.
MEASURED = 16


class InFlight:
    """Does not bound: a CPU has done a step when the call returns."""

    def launched(self, steps: int) -> None:
        """Say that steps have been launched; returns when as many more may be."""


class EventRing(InFlight):
    """Waits for the oldest of a few events while too much work is queued."""

    def __init__(self, new_event: Callable[[], Event]) -> None:
        self._new_event = new_event
        # each with the steps before it, since the previous one
        self._ring: deque[tuple[Event, int]] = deque()
        self._unmarked = self._queued = 0
        self._passed: Event | None = None
        self._spare: list[Event] = []
        self._step_ms: deque[float] = deque(maxlen=MEASURED)

    def launched(self, steps: int) -> None:
        limit = self._limit
        self._queued += steps
        self._unmarked += steps
        if self._unmarked * EVENTS >= limit:
            event = self._spare.pop() if self._spare else self._new_event()
            event.record()
            self._ring.append((event, self._unmarked))
            self._unmarked = 0
        while self._ring and self._queued + steps > limit:
            self._wait_for_oldest()

    @property
    def _limit(self) -> int:
        """How many steps may be queued; two as long as no step has been timed."""
        if not self._step_ms:
            return 2
        return max(1, int(LIMIT_MS / max(min(self._step_ms), 1e-3)))

    def _wait_for_oldest(self) -> None:
        event, steps = self._ring.popleft()
        event.synchronize()
        self._queued -= steps
        if self._passed is not None:
            self._step_ms.append(self._passed.elapsed_time(event) / steps)
            self._spare.append(self._passed)
        self._passed = event


class DrainedQueue(InFlight):
    """Waits for all work each time the limit is reached: Apple's GPUs."""

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self._synchronize = synchronize
        self._since = time.perf_counter()
        self._queued, self._limit = 0, 1

    def launched(self, steps: int) -> None:
        self._queued += steps
        if self._queued < self._limit:
            return
        self._synchronize()
        now = time.perf_counter()
        step_ms = (now - self._since) * 1000 / self._queued
        self._limit = max(1, int(LIMIT_MS / max(step_ms, 1e-3)))
        self._since, self._queued = now, 0


def bound_queue(device: torch.device) -> InFlight:
    """What bounds the queue of a device."""
    if device.type == "cuda":
        return EventRing(CudaGraphs(device).new_event)
    return DrainedQueue(torch.mps.synchronize) if device.type == "mps" else InFlight()

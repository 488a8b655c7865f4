"""How much work may be queued, with a stand-in for a GPU that does its work in its own time."""

from __future__ import annotations

from collections import deque

import pytest

from fmnist_tui.engine.step.in_flight import EVENTS, LIMIT_MS, DrainedQueue, EventRing


class Gpu:
    """Does launched work one after the other; only waiting lets its time pass."""

    def __init__(self) -> None:
        self.now = self.busy_until = 0.0
        self.events = 0
        self.starts: deque[float] = deque()

    def launch(self, ms: float) -> None:
        self.starts.append(max(self.now, self.busy_until))
        self.busy_until = self.starts[-1] + ms

    @property
    def queued_ms(self) -> float:
        return max(0.0, self.busy_until - self.now)

    def wait_until(self, ms: float) -> None:
        self.now = max(self.now, ms)

    def synchronize(self) -> None:
        self.wait_until(self.busy_until)

    def new_event(self) -> Event:
        self.events += 1
        return Event(self)


class Event:
    def __init__(self, gpu: Gpu) -> None:
        self._gpu, self.ms = gpu, 0.0

    def record(self) -> None:
        self.ms = self._gpu.busy_until

    def synchronize(self) -> None:
        self._gpu.wait_until(self.ms)

    def elapsed_time(self, later: Event) -> float:
        return later.ms - self.ms


@pytest.mark.parametrize("step_ms", [0.05, 0.7, 3.0, 15.0, 60.0, 300.0])
def test_the_gpu_is_never_idle_and_never_has_much_to_do(step_ms: float) -> None:
    gpu = Gpu()
    ring = EventRing(gpu.new_event)
    deepest = 0.0
    for step in range(400):
        gpu.launch(step_ms)
        ring.launched(1)
        if step > 10:
            deepest = max(deepest, gpu.queued_ms)
    # A long step is the only one; of short ones so many wait that the program may be slow.
    assert deepest <= LIMIT_MS
    if step_ms <= LIMIT_MS / 2:
        assert deepest >= LIMIT_MS / 3
    assert gpu.events <= EVENTS + 3


def test_graphs_of_many_and_of_single_steps_share_the_limit() -> None:
    gpu = Gpu()
    ring = EventRing(gpu.new_event)
    deepest = 0.0
    for launch in range(300):
        steps = 1 if launch % 9 < 3 or launch < 10 else 20
        gpu.launch(steps * 0.9)
        ring.launched(steps)
        deepest = max(deepest, gpu.queued_ms)
    assert deepest <= LIMIT_MS


def test_a_wait_of_the_program_is_not_taken_for_a_long_step() -> None:
    gpu = Gpu()
    ring = EventRing(gpu.new_event)
    for step in range(60):
        gpu.launch(2.0)
        ring.launched(1)
        if step % 10 == 9:
            # validation, a pause
            gpu.wait_until(gpu.now + 5000)
    for _ in range(30):
        gpu.launch(2.0)
        ring.launched(1)
    assert gpu.queued_ms >= LIMIT_MS / 2


def test_steps_that_become_slower_are_noticed() -> None:
    gpu = Gpu()
    ring = EventRing(gpu.new_event)
    for step in range(400):
        gpu.launch(1.0 if step < 100 else 10.0)
        ring.launched(1)
    assert gpu.queued_ms <= LIMIT_MS


def test_the_queue_of_an_apple_gpu_is_drained_each_time_it_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu()
    monkeypatch.setattr("time.perf_counter", lambda: gpu.now / 1000)
    queue = DrainedQueue(gpu.synchronize)
    deepest = 0.0
    for step in range(200):
        gpu.launch(400.0 if not step else 3.0)
        deepest = max(deepest, gpu.queued_ms if step else 0.0)
        queue.launched(1)
    assert LIMIT_MS / 2 <= deepest <= LIMIT_MS

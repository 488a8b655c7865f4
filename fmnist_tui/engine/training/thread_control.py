"""The number of CPU threads of a training, from its first step to its last.

The number decides in what order values are summed, and so the last bits of the weights. So every
change is an event, and a training that is resumed from before its last event repeats the changes
up to there at the same steps: it becomes the same training again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from fmnist_tui.engine.cpu.openmp_wait import WAIT
from fmnist_tui.engine.cpu.sharing import SHARING
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.protocol.events import THREADS, Alert, Changed, Event, Progress
from fmnist_tui.util.formatting import format_count

CHECK_SECONDS = 1.0


@dataclass(slots=True)
class RecordedThreads:
    """The changes that a run's events tell of, by step, and the step of its last progress."""

    counts: dict[int, int] = field(default_factory=dict)
    last_step: int = 0

    def add(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.last_step = max(self.last_step, event.step)
        elif isinstance(event, Changed) and event.what == THREADS and event.value.isdigit():
            self.counts[event.step] = int(event.value)


class ThreadControl:
    """Sets the number of threads between two steps."""

    def __init__(
        self,
        device: TrainingDevice,
        emit: Callable[[Event], None],
        recorded: RecordedThreads | None = None,
    ) -> None:
        self._device, self._emit = device, emit
        self._recorded = recorded or RecordedThreads()
        self._is_cpu = device.torch_device.type == "cpu"
        self._check_time = time.perf_counter()

    def before_step(self, step: int) -> None:
        """Use the recorded number in steps that are repeated, and then the one that suits."""
        if not self._is_cpu:
            return
        threads = self._device.cpu_threads
        is_repeated = step < self._recorded.last_step
        if is_repeated and not threads.is_fixed:
            self._change(step, self._recorded.counts.get(step, threads.count), "as before")
        now = time.perf_counter()
        if now - self._check_time < CHECK_SECONDS:
            return
        self._check_time = now
        SHARING.update()
        if not is_repeated and not threads.is_fixed:
            why = f"other programs use {SHARING.others or 0:.1f} CPUs"
            self._change(step, SHARING.threads, why)
        WAIT.set_brief(SHARING.are_contended(threads.count), threads.count)

    def _change(self, step: int, count: int, why: str) -> None:
        if count == self._device.cpu_threads.count:
            return
        self._device.cpu_threads.count = count
        torch.set_num_threads(count)
        now, threads = time.time(), format_count(count, "thread")
        self._emit(Changed(now, step, THREADS, str(count)))
        self._emit(Alert(now, "note", f"{threads} from step {step:,} on: {why}"))

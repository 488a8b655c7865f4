"""Batches of a split that stays in host memory, gathered ahead and copied while a step computes.

A thread gathers the images of the coming batches into pinned buffers; it calls numpy only. The
session's thread copies them on a stream of their own, so that neither disk nor bus hold up a step
for as long as they keep pace. A batch that was not expected is gathered at once.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fmnist_tui.engine.compute.loader import DeviceSplit

# Batches that are gathered, copied or in use at a time
DEPTH = 4
Rows = npt.NDArray[np.int64]
Arrays = tuple[npt.NDArray[Any], ...]


class Copying:
    """Copies batches to a CUDA device on a stream of their own, so that they overlap steps."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def event(self) -> Any:
        return torch.cuda.Event()  # type: ignore[no-untyped-call]

    def start(self, buffer: Buffer) -> None:
        """Copy a buffer's images, once the steps that use the batch before it have ended."""
        self._stream.wait_event(buffer.used)
        with torch.cuda.stream(self._stream):
            buffer.copy()
            buffer.copied.record(self._stream)

    def wait(self, buffer: Buffer) -> None:
        """Have the steps to come wait for the copy; this thread does not."""
        torch.cuda.current_stream(self._device).wait_event(buffer.copied)

    def finish_use(self, buffer: Buffer) -> None:
        """All steps that use the batch have been queued."""
        buffer.used.record(torch.cuda.current_stream(self._device))

    def finish_copy(self, buffer: Buffer) -> None:
        """Wait until the images have left the host's buffer, so that it may be filled again."""
        buffer.copied.synchronize()


class NoCopying:
    """For a device without streams, which copies at once."""

    def event(self) -> None:
        return None

    def start(self, buffer: Buffer) -> None:
        buffer.copy()

    def wait(self, buffer: Buffer) -> None: ...

    def finish_use(self, buffer: Buffer) -> None: ...

    def finish_copy(self, buffer: Buffer) -> None: ...


@dataclass(eq=False)
class Buffer:
    """Room for the images and labels of one batch in the host's memory and on the device."""

    host: tuple[Tensor, Tensor]
    batch: tuple[Tensor, Tensor]
    copied: Any
    used: Any
    row: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    gathered: Future[None] = field(default_factory=Future)

    def copy(self) -> None:
        """Copy the batch to the device; pinned memory is not waited for."""
        for target, source in zip(self.batch, self.host, strict=True):
            target.copy_(source, non_blocking=True)


class PrefetchedSplit(DeviceSplit):
    """A split in host memory for one run; `expect` says which batches come next. Close it."""

    def __init__(self, data: DeviceSplit, batch_size: int) -> None:
        self.__dict__.update(vars(data))
        self.fetch_seconds = 0.0
        self._sources = self._images.permute(0, 2, 3, 1).numpy(), self.labels.cpu().numpy()
        is_cuda = self.device.type == "cuda"
        self._copying = Copying(self.device) if is_cuda else NoCopying()
        self._free = deque(self._make_buffer(batch_size) for _ in range(DEPTH))
        # in the order of the batches; the images of the first `_started` are on their way
        self._filled: deque[Buffer] = deque()
        self._started = 0
        self._in_use: Buffer | None = None
        self._expected: Rows = np.empty((0, batch_size), np.int64)
        # the next row to be gathered
        self._next = 0
        self._thread = ThreadPoolExecutor(1, "batches")

    def _make_buffer(self, batch_size: int) -> Buffer:
        images = (batch_size, *self._sources[0].shape[1:]), torch.uint8
        labels = (batch_size,), torch.int64
        host = allocate(images, self.device), allocate(labels, self.device)
        batch = host[0].to(self.device, copy=True), host[1].to(self.device, copy=True)
        return Buffer(host, batch, self._copying.event(), self._copying.event())

    def expect(self, rows: Tensor) -> None:
        self._expect(rows.numpy(), 0)

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        row = indices.numpy()
        self._end_use()
        self._fill()
        if not self._is_next(row):
            self._find(row)
        start = time.perf_counter()
        try:
            if not self._is_next(row):
                return super().gather(indices)
            wait([self._filled[0].gathered])
        finally:
            self.fetch_seconds += time.perf_counter() - start
        return self._take()

    def close(self) -> None:
        self._expect(self._expected[:0], 0)
        self._thread.shutdown(cancel_futures=True)

    def _is_next(self, row: Rows) -> bool:
        return bool(self._filled) and np.array_equal(self._filled[0].row, row)

    def _find(self, row: Rows) -> None:
        """Go on from the place where this row is expected: after a search, which takes other
        batches, the run's own come again."""
        if row.shape == self._expected.shape[1:]:
            places = np.flatnonzero((self._expected == row).all(axis=1))
            if len(places):
                self._expect(self._expected, int(places[0]))

    def _expect(self, rows: Rows, first: int) -> None:
        """Forget what has been gathered, and gather these rows from the first on."""
        self._end_use()
        for buffer in self._filled:
            if not buffer.gathered.cancel():
                wait([buffer.gathered])
            self._free.append(buffer)
        self._filled.clear()
        self._started = 0
        self._expected, self._next = rows, first
        self._fill()

    def _fill(self) -> None:
        """Have the thread gather the next rows into the free buffers."""
        while self._free and self._next < len(self._expected):
            buffer = self._free.popleft()
            self._copying.finish_copy(buffer)
            buffer.row = self._expected[self._next]
            targets = tuple(tensor.numpy() for tensor in buffer.host)
            buffer.gathered = self._thread.submit(gather, self._sources, buffer.row, targets)
            self._filled.append(buffer)
            self._next += 1

    def _take(self) -> tuple[Tensor, Tensor]:
        """The first batch, on its way to the device; those behind it follow if they are ready."""
        while self._started < len(self._filled):
            buffer = self._filled[self._started]
            if not buffer.gathered.done():
                break
            buffer.gathered.result()
            self._copying.start(buffer)
            self._started += 1
        buffer = self._filled.popleft()
        self._started -= 1
        self._in_use = buffer
        self._copying.wait(buffer)
        images, labels = buffer.batch
        return images.permute(0, 3, 1, 2), labels

    def _end_use(self) -> None:
        """Give back the buffer of the batch before: its steps have been queued."""
        if self._in_use is not None:
            self._copying.finish_use(self._in_use)
            self._free.append(self._in_use)
            self._in_use = None


def allocate(what: tuple[tuple[int, ...], torch.dtype], device: torch.device) -> Tensor:
    """A tensor of this shape and type in the host's memory: pinned if that helps and works."""
    shape, dtype = what
    if device.type == "cuda":
        # If the system pins no more memory, copies wait for the host.
        with contextlib.suppress(RuntimeError):
            return torch.empty(shape, dtype=dtype, pin_memory=True)
    return torch.empty(shape, dtype=dtype)


def gather(sources: Arrays, row: Rows, targets: Arrays) -> None:
    """Runs in the thread. Without a mode, numpy would gather into copies of the targets."""
    for source, target in zip(sources, targets, strict=True):
        np.take(source, row, axis=0, out=target, mode="clip")

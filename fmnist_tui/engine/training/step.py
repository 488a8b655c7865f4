"""One training step, run eagerly or as a captured CUDA graph.

Nothing in a step waits for the device: loss and hits add up in tensors there and are
read a few times a second by the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.compute.ema import WeightAverage
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.optim import Optimizer

WARM_STEPS = 3
Network = Callable[[Tensor], Tensor]


@dataclass(slots=True)
class StepParts:
    """Everything a step works with."""

    model: nn.Module
    network: Network
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    augment: Augment
    data: DeviceSplit
    machine: TrainingDevice
    average: WeightAverage | None
    label_smoothing: float
    clip_norm: float


class TrainingStep:
    """Takes a row of indices, learns from those images; `read` tells what came of it."""

    def __init__(self, parts: StepParts, batch: int) -> None:
        self._parts = parts
        device = parts.machine.device
        self._indices = torch.zeros(batch, dtype=torch.int64, device=device)
        # loss × images, and hits; MPS has no double precision
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(2, dtype=dtype, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._steps = 0

    @property
    def is_captured(self) -> bool:
        return self._graph is not None

    def __call__(self, indices: Tensor) -> None:
        self._indices.copy_(indices, non_blocking=True)
        if not self._parts.machine.cuda_graph:
            self._learn()
        elif self._graph is not None:
            self._graph.replay()
        elif self._steps < WARM_STEPS:
            self._aside()
        else:
            self._capture()
        self._steps += 1

    def read_totals(self) -> tuple[float, float]:
        """The summed loss of the images since the last reading, and the hits among them.

        This waits for the device."""
        loss, hits = self._sums.tolist()
        self._sums.zero_()
        return loss, hits

    def _learn(self) -> None:
        parts = self._parts
        images = parts.data.gather(self._indices)
        pixels, targets = parts.augment(images, parts.data.labels[self._indices])
        with parts.machine.autocast():
            logits = parts.network(pixels)
        loss = targets.loss(logits, parts.label_smoothing)
        parts.optimizer.zero_grad(set_to_none=True)
        parts.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if parts.clip_norm:
            parts.scaler.unscale_(parts.optimizer)
            nn.utils.clip_grad_norm_(parts.model.parameters(), parts.clip_norm)
        parts.scaler.step(parts.optimizer)
        parts.scaler.update()
        if parts.average is not None:
            parts.average.update()
        self._count(loss.detach(), logits.detach(), targets.labels)

    @torch.no_grad()
    def _count(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self._sums[0] += loss * len(labels)
        self._sums[1] += (logits.argmax(1) == labels).sum()

    def _aside(self) -> None:
        """A real step on a side stream, as CUDA graphs ask for before a capture."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._learn()
        torch.cuda.current_stream().wait_stream(stream)

    def _capture(self) -> None:
        """Record the step, which does not run it, then run it once."""
        graph = torch.cuda.CUDAGraph()
        self._parts.optimizer.zero_grad(set_to_none=True)
        # By itself torch captures on a stream of the GPU that was captured on first.
        stream = torch.cuda.Stream(self._indices.device)  # type: ignore[no-untyped-call]
        with torch.cuda.graph(graph, stream=stream):
            self._learn()
        self._graph = graph
        graph.replay()

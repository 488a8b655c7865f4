"""Training steps, run eagerly or as a captured CUDA graph.

Nothing in a step waits for the device: the loss and the number of correct predictions are summed
in tensors there, which the training loop reads a few times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.compute.ema import WeightAverage
from fmnist_tui.engine.compute.epoch_images import EpochImages
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.distributed.processes import Processes
from fmnist_tui.engine.optim import Optimizer
from fmnist_tui.engine.step.rates import RateTensors

WARM_UP_STEPS = 3
Network = Callable[[Tensor], Tensor]


@dataclass(eq=False)
class TrainingStep:
    """Trains on batches, each a row of indices; `read_totals` returns loss and accuracy sums."""

    model: nn.Module
    # the model, or its compiled form
    network: Network
    optimizer: Optimizer
    rates: RateTensors
    scaler: torch.amp.GradScaler
    augment: Augment
    data: EpochImages
    batch_size: int
    device: TrainingDevice
    average: WeightAverage | None
    label_smoothing: float
    clip_norm: float
    processes: Processes
    # what is random in the network, in the coming step
    own_randomness: Callable[[], AbstractContextManager[None]]

    def __post_init__(self) -> None:
        device = self.device.torch_device
        self._indices = torch.zeros(self.batch_size, dtype=torch.int64, device=device)
        # loss × images, and correct predictions; MPS has no double precision
        dtype = torch.float64 if device.type in ("cpu", "cuda") else torch.float32
        self._sums = torch.zeros(2, dtype=dtype, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._steps = 0
        self._share = self.processes.share(self.batch_size)

    @property
    def is_captured(self) -> bool:
        return self._graph is not None

    def choose_count(self, left: int) -> int:
        """How many steps to take in one call, if so many are left before the next thing that
        must happen between two steps: few enough that a command need not wait for long."""
        return min(left, 1)

    def run(self, rows: Tensor, rates: Sequence[float]) -> None:
        """Take one step for each row of indices, with the learning rates of these steps."""
        for row, rate in zip(rows, rates, strict=True):
            self._step(row, rate)

    def _step(self, row: Tensor, rate: float) -> None:
        self.rates.fill(rate)
        self._indices.copy_(row, non_blocking=True)
        if not self.device.cuda_graph:
            self._train_batch()
        elif self._graph is not None:
            self._graph.replay()
        elif self._steps < WARM_UP_STEPS:
            self._warm_up()
        else:
            self._capture()
        self._steps += 1

    def read_totals(self) -> tuple[float, float]:
        """The summed loss and the correct predictions since the last call, of all processes.

        This waits for the device."""
        loss, correct = self.processes.add_up(self._sums.tolist())
        self._sums.zero_()
        return loss, correct

    def _train_batch(self) -> None:
        images = self.data.gather(self._indices)
        pixels, targets = self.augment(images, self.data.labels[self._indices])
        # All processes augment the whole batch alike: then its images are those of one process.
        pixels, targets = pixels[self._share], targets.take(self._share)
        with self.own_randomness():
            with self.device.autocast():
                logits = self.network(pixels)
            loss = targets.loss(logits, self.label_smoothing)
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update()
        with torch.no_grad():
            self._sums[0] += loss.detach() * len(targets.labels)
            self._sums[1] += (logits.detach().argmax(1) == targets.labels).sum()

    def _warm_up(self) -> None:
        """Train on a side stream, as CUDA graphs require before a capture."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._train_batch()
        torch.cuda.current_stream().wait_stream(stream)

    def _capture(self) -> None:
        """Capture the step, which does not run it, then run it once."""
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        # By default torch captures on a stream of the GPU that the first capture was on.
        stream = torch.cuda.Stream(self._indices.device)  # type: ignore[no-untyped-call]
        with torch.cuda.graph(graph, stream=stream):
            self._train_batch()
        self._graph = graph
        graph.replay()

"""Training steps, run eagerly or as captured CUDA graphs.

Nothing in a step waits for the device: the loss and the number of correct predictions are summed
in tensors there, which the training loop reads a few times a second. Between two launches the step
waits only while too much work is queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.compute.ema import WeightAverage
from fmnist_tui.engine.compute.epoch_images import EpochImages
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.distributed.processes import Processes
from fmnist_tui.engine.optim import Optimizer
from fmnist_tui.engine.step.captured import CapturedSteps
from fmnist_tui.engine.step.cuda_graphs import CaptureFailedError, CudaGraphs
from fmnist_tui.engine.step.in_flight import InFlight
from fmnist_tui.engine.step.rates import RateTensors
from fmnist_tui.protocol.events import Alert, Event

Network = Callable[[Tensor], Tensor]


@dataclass(eq=False)
class TrainingStep:
    """Trains on batches, each a row of indices; `read_totals` returns loss and accuracy sums.

    Close it at the end: its graphs hold memory of the GPU."""

    model: nn.Module
    # the model, or its compiled form
    network: Network
    optimizer: Optimizer
    rates: RateTensors
    scaler: torch.amp.GradScaler
    augment: Augment
    data: EpochImages
    batch_size: int
    steps_per_epoch: int
    device: TrainingDevice
    average: WeightAverage | None
    label_smoothing: float
    clip_norm: float
    processes: Processes
    # what is random in the network, in the coming step
    own_randomness: Callable[[], AbstractContextManager[None]]
    # None to run every step eagerly
    graphs: CudaGraphs | None
    in_flight: InFlight
    emit: Callable[[Event], None]

    def __post_init__(self) -> None:
        device = self.device.torch_device
        # loss × images, and correct predictions; MPS has no double precision
        dtype = torch.float64 if device.type in ("cpu", "cuda") else torch.float32
        self._sums = torch.zeros(2, dtype=dtype, device=device)
        self._share = self.processes.share(self.batch_size)
        self._captured: CapturedSteps | None = None
        if self.graphs is None or self.graphs.has_failed:
            return
        can_scale = getattr(self.optimizer, "_step_supports_amp_scaling", False)
        if self.scaler.is_enabled() and not can_scale:
            # It waits for the device to know whether to step.
            self.graphs.has_failed = True
            self._alert_without_graph("this optimiser cannot be captured in fp16")
            return
        self._captured = CapturedSteps(
            self.graphs, self.rates, self.batch_size, self.steps_per_epoch, device
        )

    @property
    def will_capture(self) -> bool:
        """Whether the first capture is yet to come: it must find the optimiser's final tensors."""
        return self._captured is not None and not self._captured.sizes

    def choose_count(self, left: int, left_in_run: int) -> int:
        """How many steps to take in one call, if so many are left before the next thing that
        must happen between two steps: few enough that a command need not wait for long."""
        if self._captured is None:
            return min(left, 1)
        return self._captured.choose_count(left, left_in_run)

    def run(self, rows: Tensor, rates: Sequence[float]) -> None:
        """Take one step for each row of indices, with the learning rates of these steps."""
        done = 0
        while done < len(rows):
            count = self._launch(rows[done:], rates[done:])
            self.in_flight.launched(count)
            done += count

    def read_totals(self) -> tuple[float, float]:
        """The summed loss and the correct predictions since the last call, of all processes.

        This waits for the device."""
        loss, correct = self.processes.add_up(self._sums.tolist())
        self._sums.zero_()
        return loss, correct

    def take_capture_seconds(self) -> float:
        """The time that captures have taken since the last call."""
        if self._captured is None:
            return 0.0
        seconds, self._captured.capture_seconds = self._captured.capture_seconds, 0.0
        return seconds

    def close(self) -> None:
        """Free the graphs and their memory; no step can be taken afterwards."""
        if self._captured is not None:
            # Gradients are in the memory of the graphs.
            self.optimizer.zero_grad(set_to_none=True)
            self._captured.close()

    def train_batch(self, indices: Tensor) -> None:
        """Train on the images of these indices, with the rates that are set."""
        pixels, targets = self.augment(*self.data.gather(indices))
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

    @contextmanager
    def undo_on_failure(self) -> Iterator[None]:
        """Undo what Python code has changed in a capture that fails: no kernel has run."""
        optimizer, device = self.optimizer, self.device.torch_device
        optimizer.zero_grad(set_to_none=True)
        generators = rng.get_state(device)
        states = {parameter: dict(state) for parameter, state in optimizer.state.items()}
        try:
            yield
        except CaptureFailedError:
            optimizer.zero_grad(set_to_none=True)
            optimizer.state.clear()
            optimizer.state.update(states)
            if self.scaler.is_enabled():
                # What the scaler keeps between the parts of one step.
                self.scaler._per_optimizer_states.clear()
            for name in ("grad_scale", "found_inf"):
                vars(optimizer).pop(name, None)
            rng.set_state(generators, device)
            raise

    def _launch(self, rows: Tensor, rates: Sequence[float]) -> int:
        """Take the first steps, as a graph if possible; returns how many."""
        if self._captured is not None:
            try:
                return self._captured.launch(rows, rates, self)
            except CaptureFailedError as error:
                why = str(error)[:200]
            self.close()
            self._captured = None
            self._alert_without_graph(why)
        self.rates.fill(rates[0])
        self.train_batch(rows[0])
        return 1

    def _alert_without_graph(self, why: str) -> None:
        message = f"no CUDA graph, the run goes on without: {why}"
        self.emit(Alert(time.time(), "warning", message))

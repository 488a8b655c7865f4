"""The loops that are compared: each trains for as long as it is told to, and counts its images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from fmnist_tui.bench.plain_loop import PlainLoop, build_model
from fmnist_tui.bench.throughput import write_raw_files
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import load_dataset
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.commands import Pause, Resume
from fmnist_tui.protocol.events import Changed, Progress, RunStarted
from fmnist_tui.util.errors import UserError

PLAIN, TUNED, OURS = "plain", "tuned", "ours"
# The longest that the program may take to reach its first step
START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Work:
    """What one side trains: all the training images of a dataset, again and again."""

    data_dir: str
    dataset: str
    device: str
    model: str
    batch: int

    def load(self) -> Dataset:
        return load_dataset(self.dataset, data_dir=Path(self.data_dir))


@dataclass(frozen=True, slots=True)
class Window:
    """`images` were trained in so many seconds of training steps; `whole_seconds` has also what a
    run does between them: validation and saving."""

    images: int
    seconds: float
    whole_seconds: float


class ComparedLoop(Protocol):
    """One loop, ready to train. `precision` is what it computes in."""

    precision: str

    def train(self, seconds: float) -> Window:
        """Train for at least so long; the device has finished when this returns."""

    def close(self) -> None: ...


class PlainSide:
    """The textbook loop: a DataLoader, single precision."""

    precision = "fp32"

    def __init__(self, work: Work) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-")
        dataset = work.load()
        write_raw_files(dataset, Path(self._folder.name))
        device = torch.device(work.device)
        self._loop = PlainLoop(
            self._folder.name, work.model, work.batch, len(dataset.train), device
        )

    def train(self, seconds: float) -> Window:
        start, images = time.perf_counter(), 0
        while (spent := time.perf_counter() - start) < seconds:
            images += self._loop.train_epoch(seconds - spent)
        spent = time.perf_counter() - start
        return Window(images, spent, spent)

    def close(self) -> None:
        self._folder.cleanup()


class TunedSide:
    """What an expert would write by hand: the images on the device as channels-last bf16 tensors
    in place of a DataLoader, a fused optimiser, and forward and backward compiled into CUDA
    graphs. On a CPU nothing is compiled."""

    precision = "bf16"

    def __init__(self, work: Work) -> None:
        device, train = torch.device(work.device), work.load().train
        pixels = torch.from_numpy(train.images).to(device).permute(0, 3, 1, 2)
        self._images = ((pixels.float() / 255 - 0.5) / 0.5).to(
            torch.bfloat16, memory_format=torch.channels_last
        )
        self._labels = torch.from_numpy(train.labels).to(device, torch.int64)
        self._device, self._batch = device, work.batch
        network = build_model(work.model).to(device).to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

        def compute_loss(pixels: Tensor, labels: Tensor) -> Tensor:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                return nn.functional.cross_entropy(network(pixels), labels)

        self._is_compiled = device.type == "cuda"
        # The queue is emptied after so many steps: only work that is done counts.
        self._steps = 50 if self._is_compiled else 1
        self._compute_loss = compute_loss
        if self._is_compiled:
            self._compute_loss = torch.compile(compute_loss, mode="reduce-overhead")
        self._rows = self._draw_rows()

    def _draw_rows(self) -> Iterator[Tensor]:
        """The images of every batch, shuffled anew in every epoch."""
        while True:
            order = torch.randperm(len(self._labels), device=self._device)
            yield from order[: len(order) // self._batch * self._batch].view(-1, self._batch)

    def train(self, seconds: float) -> Window:
        start, images = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            for _ in range(self._steps):
                rows = next(self._rows)
                if self._is_compiled:
                    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
                self._optimizer.zero_grad(set_to_none=True)
                loss = self._compute_loss(self._images[rows], self._labels[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
                images += len(rows)
            if self._is_compiled:
                torch.cuda.synchronize()
        spent = time.perf_counter() - start
        return Window(images, spent, spent)

    def close(self) -> None:
        pass  # everything goes with this object


class OurSide:
    """A run of this program with session, record, validation and checkpoints, paused between two
    windows."""

    def __init__(self, work: Work) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-")
        self._session = Session(Path(self._folder.name), Path(work.data_dir))
        self._batch = work.batch
        values = {
            "recipe": "bench",
            "dataset": work.dataset,
            "device": work.device,
            "model": work.model,
            "batch_size": work.batch,
            "optimizer": "adam",
            "lr": 1e-3,
            # It ends only when it is told to.
            "epochs": 100_000,
            "checkpoint_seconds": 3600.0,
        }
        self._training = self._session.train(RunConfig.build(values))
        self.precision = "auto"
        self._last = self._wait_for_progress(START_SECONDS)
        self._pause()

    def train(self, seconds: float) -> Window:
        before = self._last
        began = time.perf_counter()
        self._training.send(Resume(time.time()))
        while (spent := time.perf_counter() - began) < seconds:
            time.sleep(min(0.1, seconds - spent))
        self._pause()
        steps = self._last.step - before.step
        return Window(
            steps * self._batch,
            (self._last.train_seconds or 0.0) - (before.train_seconds or 0.0),
            (self._last.warm_seconds or 0.0) - (before.warm_seconds or 0.0),
        )

    def close(self) -> None:
        self._training.stop()
        self._training.wait(START_SECONDS)
        self._session.close()
        self._folder.cleanup()

    def _pause(self) -> None:
        """Pause, and wait for it: the progress is then that of all steps, which are done."""
        self._training.send(Pause(time.time()))
        for event in _wait_for_events(self._training, START_SECONDS):
            if isinstance(event, Progress):
                self._last = event
            elif isinstance(event, Changed) and (event.what, event.value) == ("paused", "true"):
                return

    def _wait_for_progress(self, seconds: float) -> Progress:
        for event in _wait_for_events(self._training, seconds):
            if isinstance(event, RunStarted):
                self.precision = event.precision
            if isinstance(event, Progress):
                return event
        raise AssertionError("the events do not end")


def _wait_for_events(training: Training, seconds: float) -> Iterator[object]:
    """The events as they come; a UserError where the run has ended or nothing comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while training.events:
            yield training.events.popleft()
        if training.is_done:
            raise UserError(f"the training has ended: {training.error or 'too early'}")
        time.sleep(0.01)
    raise UserError(f"the training told nothing for {seconds:.0f} s")


SIDES: dict[str, Callable[[Work], ComparedLoop]] = {
    PLAIN: PlainSide,
    TUNED: TunedSide,
    OURS: OurSide,
}

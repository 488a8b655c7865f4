"""Small datasets, learners and trainings for the tests of the engine."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fmnist_tui.config.dataset_catalog import GARMENTS, DatasetInfo
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.run.training_handle import Inbox, Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.step.training_step import TrainingStep
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.live_preview import LivePreview
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.protocol.events import FINISHED, Alert, Event, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError

FOREVER = 100_000
PATIENCE = 60.0
# BatchNorm, dropout, averaged weights, a schedule, two rates and every kind of randomness
RICH: dict[str, Any] = {
    "model": "custom-cnn",
    "width": 0.25,
    "dropout": 0.3,
    "schedule": "onecycle",
    "ema": 0.9,
    "body_lr": 0.5,
    "shift": 2,
    "erase": 0.5,
    "mixup": 0.4,
    "epochs": 3,
    "checkpoint_seconds": 1000.0,
}


def blobs(count: int, classes: int = 4, seed: int = 0, size: int = 28) -> Dataset:
    """Images whose class is the corner with a bright square: learnt within a few steps."""
    info = DatasetInfo("blobs", "Blobs", GARMENTS[:classes], synthetic=True)
    random = np.random.default_rng(seed)

    def split(name: str, count: int) -> Split:
        labels = random.integers(0, classes, count)
        images = random.integers(0, 60, (count, size, size, 1)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            top, left = (label // 2) * size // 2 + 2, (label % 2) * size // 2 + 2
            image[top : top + 8, left : left + 8] += 150
        return Split(name, images, labels.astype(np.int64), np.arange(count))

    val, test = max(8, count // 4), max(8, count // 4)
    return Dataset(info, split("train", count), split("val", val), split("test", test), "drawn")


def config(**values: Any) -> RunConfig:
    """A small, fast run on one thread."""
    plain = {"model": "linear", "epochs": 2, "batch_size": 16, "threads": 1, "device": "cpu"}
    return RunConfig.build({**plain, "dataset": "sketches", **values})


def make_learner(settings: RunConfig, dataset: Dataset) -> Learner:
    return Learner(ModelInfo.from_dataset(settings, dataset), dataset, choose_device(settings))


class Harness:
    """A trainer with everything that it needs; its events are collected in a list."""

    def __init__(self, folder: Path, dataset: Dataset, **values: Any) -> None:
        self.config = config(**values)
        self.dataset = dataset
        self.learner = make_learner(self.config, dataset)
        self.store = CheckpointStore(folder)
        self.inbox = Inbox()
        self.events: list[Event] = []
        device = self.learner.device.torch_device
        validation = DeviceSplit(dataset.val, device) if len(dataset.val) else None
        self.preview = LivePreview(self.learner, dataset.val) if len(dataset.val) else None
        self.trainer = Trainer(
            self.learner,
            validation,
            self.store,
            self.events.append,
            self.inbox,
            preview=self.preview,
        )

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


def graph_sizes(step: TrainingStep) -> list[int]:
    """The steps of each graph that a training step has captured."""
    return step._captured.sizes if step._captured is not None else []


def digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Hash every bit of some weights."""
    hash_ = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        hash_.update(name.encode())
        hash_.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return hash_.hexdigest()


class Listener:
    """Collects all events of a training."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.events: list[Event] = []

    def drain(self) -> list[Event]:
        while self.training.events:
            self.events.append(self.training.events.popleft())
        return self.events

    @property
    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Alert)]

    def wait_for(self, kind: type, **fields: Any) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for event in self.drain():
                if isinstance(event, kind) and all(
                    getattr(event, name) == value for name, value in fields.items()
                ):
                    return event
            time.sleep(0.01)
        raise AssertionError(f"no {kind.__name__} with {fields} came")

    def wait_for_end(self) -> RunEnded:
        assert self.training.wait(PATIENCE)
        ends = [event for event in self.drain() if isinstance(event, RunEnded)]
        assert len(ends) == 1, "exactly one RunEnded"
        assert self.events[-1] is ends[0], "no event after it"
        return ends[0]


def train(session: Session, settings: RunConfig) -> RunFolder:
    """Train a run to its end; returns its folder."""
    return wait_for_end(session, session.train(settings))[0]


def wait_for_end(
    session: Session, training: Training, reason: str = FINISHED
) -> tuple[RunFolder, Listener]:
    """Wait until a training has ended and another may start; returns its folder and events."""
    listener = Listener(training)
    end = listener.wait_for_end()
    assert end.reason == reason, end.message
    assert training.folder is not None
    while session.training is not None:
        time.sleep(0.01)
    return training.folder, listener


def refusal(session: Session, start: Callable[[], Training]) -> str:
    """The error of a training that cannot start, which leaves no run folder."""
    before = sorted(session.runs_dir.iterdir())
    training = start()
    assert training.wait(PATIENCE)
    assert isinstance(training.error, UserError), training.error
    assert "\n" not in str(training.error)
    assert sorted(session.runs_dir.iterdir()) == before
    while session.training is not None:
        time.sleep(0.01)
    return str(training.error)

"""What learns: a network with its optimiser, its averages and its place in the run.

This is all that a checkpoint keeps. `state` and `restore` are each other's inverse:
a learner restored in another process goes on bit for bit as this one would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fmnist_tui.config import plugins
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.engine.checkpoints.checkpoint import FORMAT, CheckpointError, Payload, check_weights
from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.compute.ema import WeightAverage
from fmnist_tui.engine.compute.loader import BatchOrder, DeviceSplit
from fmnist_tui.engine.compute.schedule import learning_rate
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.inference.classifier import ModelInfo, OnTick, no_op, predict_logits
from fmnist_tui.engine.optim import OptimSpec
from fmnist_tui.engine.training.freezing import FrozenParts, use_body_lr
from fmnist_tui.engine.training.step import Network, StepParts, TrainingStep
from fmnist_tui.engine.training.undo_training import undo_on_exit
from fmnist_tui.util.errors import reason

LOOK_BEFORE_TRAINING = 4096


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch so far, by validation accuracy and then loss."""

    accuracy: float = -1.0
    loss: float = math.inf
    step: int = 0
    epoch: int = 0

    def is_beaten_by(self, accuracy: float, loss: float) -> bool:
        return math.isfinite(loss) and (accuracy, -loss) > (self.accuracy, -self.loss)


@dataclass(slots=True)
class RunningTotals:
    """What a number of steps has come to."""

    images: int = 0
    loss: float = 0.0
    hits: float = 0.0
    seconds: float = 0.0


class Learner:
    """One run's network on one machine, ready for its first or a restored step."""

    def __init__(self, about: ModelInfo, dataset: Dataset, machine: TrainingDevice) -> None:
        self.info, self.config, self.machine = about, about.config, machine
        self.train = DeviceSplit(dataset.train, machine.device)
        if not self.train.is_resident:
            # A graph cannot hold what the host does in between: fetching the batch.
            self.machine = machine = replace(machine, cuda_graph=False)
        self.order = BatchOrder(
            len(dataset.train), self.config.batch_size, self.config.seed, machine.device
        )
        self.total_steps = self.config.epochs * self.order.steps_per_epoch

        self.step = 0
        self.epoch = 0
        self.epoch_step = 0
        self.lr_factor = 1.0
        self.best = BestEpoch()
        self.stale_epochs = 0
        self.seconds = 0.0
        self.tally = RunningTotals()

        rng.seed_all(self.config.seed)
        self.model = about.build().to(machine.device)
        self.model = self.model.to(memory_format=torch.channels_last)
        prepare = getattr(self.model, "prepare", None)
        if prepare is not None:
            first = self.train.slice(0, LOOK_BEFORE_TRAINING).float()
            prepare(about.normalisation.apply(first))
        self.frozen = FrozenParts(self.model, self.config.freeze) if self.config.freeze else None
        # Tensors, so that a captured graph sees each step's rates.
        self._rate = torch.tensor(self.config.lr, dtype=torch.float32, device=machine.device)
        self._body_rate = self._rate * self.config.body_lr
        spec = OptimSpec(
            self._rate, self.config.momentum, self.config.weight_decay, machine.cuda_graph
        )
        self._optimizer = plugins.load("optim", self.config.optimizer).build(self.model, spec)
        if self.config.body_lr != 1:
            use_body_lr(self.model, self._optimizer, self._body_rate, self.config.renew)
        if machine.cuda_graph:
            # Of the few steps before the capture torch would say that they are slow.
            setattr(self._optimizer, "_warned_capturable_if_run_uncaptured", True)  # noqa: B010
        self._scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.scales_gradients)
        still = self.frozen.names if self.frozen is not None else ()
        self._average = (
            WeightAverage(self.model, self.config.ema, still) if self.config.ema else None
        )

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def lr(self) -> float:
        """The learning rate of the step to come."""
        return learning_rate(self.config, self.step, self.total_steps) * self.lr_factor

    def set_lr(self, lr: float) -> None:
        """Make the rate `lr` now, and the rest of the schedule in proportion."""
        self.lr_factor = lr / learning_rate(self.config, self.step, self.total_steps)

    def make_step(self, network: Network | None = None) -> TrainingStep:
        """The training step, through `network` where the model has been compiled."""
        self.model.train()
        parts = StepParts(
            model=self.model,
            network=network or self.model,
            optimizer=self._optimizer,
            scaler=self._scaler,
            augment=Augment(self.config, self.info.normalisation),
            data=self.train,
            machine=self.machine,
            average=self._average,
            label_smoothing=self.config.label_smoothing,
            clip_norm=self.config.clip_norm,
        )
        return TrainingStep(parts, self.order.batch_size)

    @property
    def is_position_consistent(self) -> bool:
        """Whether the step is what epoch and step within it make in this run's batches."""
        whole = self.epoch * self.order.steps_per_epoch + self.epoch_step
        return self.step == whole and self.epoch_step <= self.order.steps_per_epoch

    def restart_epoch(self) -> None:
        """Stand at the beginning of the present epoch, as this run counts its steps."""
        self.step, self.epoch_step = self.epoch * self.order.steps_per_epoch, 0
        self.tally = RunningTotals()

    def reset_history(self) -> None:
        """Keep the place and what was learnt, forget what another run made of it: the
        schedule is the config's own again, and the best epoch is still to come."""
        self.lr_factor, self.seconds = 1.0, 0.0
        self.best, self.stale_epochs = BestEpoch(), 0

    def apply_lr(self, lr: float | None = None) -> None:
        """Give the device the rates of the step to come: the schedule's, or another."""
        rate = self.lr if lr is None else lr
        self._rate.fill_(rate)
        self._body_rate.fill_(rate * self.config.body_lr)

    @contextmanager
    def undo_on_exit(self) -> Iterator[None]:
        """What is learnt inside this block is forgotten after it, to the last bit."""
        averages = self._average.state().values() if self._average is not None else ()
        tensors = (*self.model.state_dict().values(), *averages)
        waited = self.train.fetch_seconds
        with undo_on_exit(tensors, self._optimizer, self._scaler, self.machine.device):
            yield
        self.train.fetch_seconds = waited

    def predict_logits(self, data: DeviceSplit, pulse: OnTick = no_op) -> npt.NDArray[np.float32]:
        """Logits of a split by the weights that count: the averaged ones, if there are any."""
        if self._average is None:
            return predict_logits(self.model, data, self.info, self.machine, pulse)
        with self._average.applied():
            return predict_logits(self.model, data, self.info, self.machine, pulse)

    def weights_payload(self) -> Payload:
        """What is needed to classify: the weights that count, and what they are for."""
        weights = self._average.state() if self._average else self.model.state_dict()
        return {
            "format": FORMAT,
            "about": self.info.to_dict(),
            "weights": dict(weights),
            "step": self.step,
            "epoch": self.epoch,
            "best": asdict(self.best),
        }

    def full_payload(self) -> Payload:
        """Everything, so that training can go on from here as if nothing had happened."""
        return {
            **self.weights_payload(),
            "model": dict(self.model.state_dict()),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "rng": rng.get_state(self.machine.device),
            "epoch_step": self.epoch_step,
            "stale_epochs": self.stale_epochs,
            "lr_factor": self.lr_factor,
            "seconds": self.seconds,
            "tally": asdict(self.tally),
            "frozen": self.frozen.sha256 if self.frozen is not None else "",
        }

    def load_weights(self, weights: Mapping[str, Tensor], where: str) -> None:
        """Begin with these weights instead of random ones."""
        check_weights(weights, self.model.state_dict(), where, self.config.model)
        self.model.load_state_dict(weights)
        if self._average is not None:
            self._average.restore(weights)

    def restore(self, payload: Payload, where: str) -> None:
        """Become what `state` described; a CheckpointError if that is not this network."""
        if "optimizer" not in payload:
            raise CheckpointError(f"{where}: holds weights only and cannot be resumed from")
        try:
            self._restore(payload, where)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{where}: cannot be resumed from: {reason(error)}") from error

    def _restore(self, payload: Payload, where: str) -> None:
        check_weights(payload["model"], self.model.state_dict(), where, self.config.model)
        self.model.load_state_dict(payload["model"])
        # Options are the config's, which a fork may have changed; the state is what was kept.
        options = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self._optimizer.param_groups
        ]
        self._optimizer.load_state_dict(payload["optimizer"])
        for group, own in zip(self._optimizer.param_groups, options, strict=True):
            group.update(own)
        if payload["scaler"]:
            self._scaler.load_state_dict(payload["scaler"])
        if self._average is not None:
            self._average.restore(payload["weights"])
        self.step, self.epoch = payload["step"], payload["epoch"]
        self.epoch_step = payload["epoch_step"]
        self.stale_epochs = payload["stale_epochs"]
        self.lr_factor = payload["lr_factor"]
        self.seconds = payload["seconds"]
        self.best = BestEpoch(**payload["best"])
        self.tally = RunningTotals(**payload["tally"])
        if self.frozen is not None:
            self.frozen.sha256 = payload["frozen"]
        rng.set_state(payload["rng"], self.machine.device)

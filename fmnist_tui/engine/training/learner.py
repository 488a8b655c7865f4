"""The state of a training: a network with its optimiser, averages and position in the run.

This is all that a checkpoint saves. `full_payload` and `restore` are inverses: a learner restored
in another process continues bit for bit like the original.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fmnist_tui.config import plugins
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.engine.checkpoints.checkpoint import FORMAT, CheckpointError, Payload, check_weights
from fmnist_tui.engine.compiler_import import postpone_import
from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.compute.ema import Lookahead, WeightAverage
from fmnist_tui.engine.compute.epoch_images import EpochImages
from fmnist_tui.engine.compute.loader import BatchOrder, DeviceSplit
from fmnist_tui.engine.compute.prefetch import PrefetchedSplit
from fmnist_tui.engine.compute.schedule import learning_rate
from fmnist_tui.engine.compute.uploads import UPLOADS
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.distributed.processes import ONE_PROCESS, Processes
from fmnist_tui.engine.inference.batch_size import evaluation_batch_size
from fmnist_tui.engine.inference.classifier import ModelInfo, OnTick, no_op, predict_logits
from fmnist_tui.engine.optim import OptimSpec
from fmnist_tui.engine.step.cuda_graphs import CudaGraphs
from fmnist_tui.engine.step.in_flight import bound_queue
from fmnist_tui.engine.step.rates import RateTensors
from fmnist_tui.engine.step.training_step import Network, TrainingStep
from fmnist_tui.engine.training.freezing import FrozenParts, use_body_lr
from fmnist_tui.protocol.events import Event
from fmnist_tui.util.errors import format_error

# Training images that a model may look at before the first step.
PREPARATION_IMAGES = 4096
# Attributes that a checkpoint saves under their own name.
COUNTERS = ("step", "epoch", "epoch_step", "stale_epochs", "lr_factor", "seconds")


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
class EpochTotals:
    """Sums over the steps of an epoch so far."""

    images: int = 0
    loss: float = 0.0
    correct: float = 0.0
    seconds: float = 0.0


def ignore_event(_: Event) -> None: ...


class Learner:
    """A run's network on a device, ready for its first step or for a restored one."""

    def __init__(
        self,
        info: ModelInfo,
        dataset: Dataset,
        device: TrainingDevice,
        processes: Processes = ONE_PROCESS,
    ) -> None:
        self.info, self.config, self.device, self.processes = info, info.config, device, processes
        UPLOADS.keep_only(dataset)
        self.train = UPLOADS.get(dataset.train, device.torch_device)
        if not self.train.is_resident:
            batch_size = min(self.config.batch_size, self.train.count)
            self.train = PrefetchedSplit(self.train, batch_size)
            # A graph cannot include work on the host: copying the batch to the device.
            self.device = device = replace(device, cuda_graph=False)
        self.order = BatchOrder(
            len(dataset.train), self.config.batch_size, self.config.seed, self.train.index_device
        )
        self.images = EpochImages(self.train, self.config, info.normalisation)
        self.total_steps = self.config.epochs * self.order.steps_per_epoch

        self.step = self.epoch = self.epoch_step = 0
        self.totals = EpochTotals()
        self.reset_history()

        rng.seed_all(self.config.seed)
        self.model = info.build().to(device.torch_device)
        self.model = self.model.to(memory_format=torch.channels_last)
        prepare = getattr(self.model, "prepare", None)
        if prepare is not None:
            images = self.train.slice(0, PREPARATION_IMAGES).float()
            prepare(info.normalisation.apply(images))
        self.frozen = FrozenParts(self.model, self.config.freeze) if self.config.freeze else None
        self._rates = RateTensors(self.config.lr, self.config.body_lr, device.torch_device)
        settings = self.config.momentum, self.config.weight_decay, device.cuda_graph
        spec = OptimSpec(self._rates.base, *settings)
        postpone_import()
        self._optimizer = plugins.build_plugin(
            "optim", self.config.optimizer, torch.optim.Optimizer, self.model, spec
        )
        if self.config.body_lr != 1:
            use_body_lr(self.model, self._optimizer, self._rates.body, self.config.renew)
        if device.cuda_graph:
            # Suppress torch's warning that the few steps before the capture are slow.
            setattr(self._optimizer, "_warned_capturable_if_run_uncaptured", True)  # noqa: B010
        # fp16 has too small a range of exponents for gradients.
        self._scaler = torch.amp.GradScaler(
            device.torch_device.type, enabled=device.precision == "fp16"
        )
        self._graphs = CudaGraphs(device.torch_device) if device.cuda_graph else None
        self._average: WeightAverage | None = None
        if self.config.ema:
            frozen = self.frozen.names if self.frozen is not None else ()
            self._average = WeightAverage(self.model, self.config.ema, frozen)
            if self.config.lookahead:
                self._average = Lookahead(
                    self.model, self.config.ema, self.config.lookahead, self.total_steps, frozen
                )

    def close(self) -> None:
        """End the thread that gathers batches, if there is one."""
        self.train.close()

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.next_rates(1)[0]

    def next_rates(self, count: int) -> list[float]:
        """The learning rates of the next steps."""
        steps = range(self.step, self.step + count)
        return [
            learning_rate(self.config, step, self.total_steps) * self.lr_factor for step in steps
        ]

    def set_lr(self, lr: float) -> None:
        """Make the rate `lr` now, and scale the rest of the schedule in proportion."""
        self.lr_factor = lr / learning_rate(self.config, self.step, self.total_steps)

    def compile(self, warn: Callable[[str], None]) -> Network | None:
        """The compiled network, or the model itself with a warning if compiling fails; None where
        several processes train it.

        The trial batch changes batch-norm statistics and random generators; both are restored."""
        if self.processes.place.is_several:
            warn("not compiled: several processes train this network")
            return None
        model, device = self.model, self.device
        weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        generators = rng.get_state(device.torch_device)
        network: Network = torch.compile(model)
        try:
            model.train()
            shape = self.order.batch_size, self.info.channels, self.info.size, self.info.size
            pixels = torch.zeros(shape, device=device.torch_device)
            with device.autocast():
                logits = network(pixels.contiguous(memory_format=torch.channels_last))
            logits.float().sum().backward()  # type: ignore[no-untyped-call]
            device.synchronize()
        except Exception as error:  # noqa: BLE001 - compiling has many ways to fail, none fatal
            warn(f"not compiled, continuing without: {format_error(error)[:200]}")
            network = model
        finally:
            model.zero_grad(set_to_none=True)
            model.load_state_dict(weights)
            rng.set_state(generators, device.torch_device)
        return network

    def begin_epoch(self, on_tick: OnTick = no_op) -> Tensor:
        """Draw what the current epoch draws once; returns the indices of its batches."""
        self.images.begin(self.epoch, on_tick)
        batches = self.order.epoch_indices(self.epoch)
        self.train.expect(batches[self.epoch_step :])
        return batches

    def take_steps(self, step: TrainingStep, batches: Tensor) -> int:
        """Take the next steps of the epoch, as many as one call may; returns how many images."""
        first, left_in_run = self.epoch_step, self.total_steps - self.step
        count = step.choose_count(self.order.steps_per_epoch - first, left_in_run)
        step.run(batches[first : first + count], self.next_rates(count))
        self.step += count
        self.epoch_step += count
        return count * self.order.batch_size

    def make_step(
        self, network: Network | None = None, emit: Callable[[Event], None] = ignore_event
    ) -> TrainingStep:
        """Build the training step, with a compiled `network` if there is one. Close it."""
        self.model.train()
        if self._average is not None:
            self._average.continue_from(self.step)
        processes, seed = self.processes, self.config.seed
        return TrainingStep(
            model=self.model,
            network=network or processes.wrap(self.model),
            optimizer=self._optimizer,
            rates=self._rates,
            scaler=self._scaler,
            augment=Augment(
                self.config, self.info.normalisation, transforms=not self.images.are_augmented
            ),
            data=self.images,
            batch_size=self.order.batch_size,
            steps_per_epoch=self.order.steps_per_epoch,
            device=self.device,
            average=self._average,
            label_smoothing=self.config.label_smoothing,
            clip_norm=self.config.clip_norm,
            processes=processes,
            own_randomness=lambda: processes.own_randomness(seed, self.step),
            graphs=self._graphs,
            in_flight=bound_queue(self.device.torch_device),
            emit=emit,
        )

    @property
    def is_position_consistent(self) -> bool:
        """Whether the step count agrees with the epoch and the step within it."""
        step = self.epoch * self.order.steps_per_epoch + self.epoch_step
        return self.step == step and self.epoch_step <= self.order.steps_per_epoch

    def restart_epoch(self) -> None:
        """Go back to the start of the current epoch, in this run's count of steps."""
        self.step, self.epoch_step = self.epoch * self.order.steps_per_epoch, 0
        self.totals = EpochTotals()

    def reset_history(self) -> None:
        """Keep position and weights, but forget the other run's rate changes and best epoch."""
        self.lr_factor, self.seconds = 1.0, 0.0
        self.best, self.stale_epochs = BestEpoch(), 0

    def continue_after_patience(self) -> None:
        """Train at least one more epoch, even if patience has ended the training."""
        if self.config.patience:
            self.stale_epochs = min(self.stale_epochs, self.config.patience - 1)

    @contextmanager
    def undo_on_exit(self) -> Iterator[None]:
        """Undo all training inside this block, to the last bit.

        Values are copied back into the same tensors, so that a captured step remains valid. The
        copies are kept in host memory, so that a nearly full GPU can do this as well."""
        optimizer = self._optimizer
        states = {parameter: dict(state) for parameter, state in optimizer.state.items()}
        # The options of the parameter groups hold the learning rates.
        tables = [self.model.state_dict(), *optimizer.param_groups, *states.values()]
        if self._average is not None:
            tables.append(self._average.state())
        tensors = [
            value for table in tables for value in table.values() if isinstance(value, Tensor)
        ]
        copies = [tensor.detach().to("cpu", copy=True) for tensor in tensors]
        scale, generators = self._scaler.state_dict(), rng.get_state(self.device.torch_device)
        fetch_seconds = self.train.fetch_seconds
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, copy in zip(tensors, copies, strict=True):
                    tensor.copy_(copy)
            optimizer.state.clear()
            optimizer.state.update(states)
            if scale:
                self._scaler.load_state_dict(scale)
            if self._average is not None:
                self._average.continue_from(self.step)
            rng.set_state(generators, self.device.torch_device)
            self.train.fetch_seconds = fetch_seconds

    @property
    def is_finite(self) -> bool:
        """Whether all weights and their averages are numbers, neither NaN nor infinite."""
        tables = [self.model.state_dict(), self._average.state() if self._average else {}]
        tensors = [tensor for table in tables for tensor in table.values() if tensor.numel()]
        floats = [tensor for tensor in tensors if tensor.is_floating_point()]
        return bool(torch.nn.utils.get_total_norm(floats, math.inf).isfinite())

    @property
    def evaluation_batch_size(self) -> int:
        return evaluation_batch_size(self.info.size, self.device.torch_device)

    def predict_logits(
        self, data: DeviceSplit, on_tick: OnTick = no_op, on_view: OnTick = no_op
    ) -> npt.NDArray[np.float32]:
        """Logits of a split, by the averaged weights if there are any."""
        with self._average.applied() if self._average is not None else nullcontext():
            return predict_logits(self.model, data, self.info, self.device, on_tick, on_view)

    def weights_payload(self) -> Payload:
        """What classification needs: the (averaged) weights and the model's facts."""
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
        """Everything that training needs to continue exactly from here."""
        totals = asdict(self.totals)
        return {
            **self.weights_payload(),
            "model": dict(self.model.state_dict()),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "rng": rng.get_state(self.device.torch_device),
            **{key: getattr(self, key) for key in COUNTERS},
            "tally": {"hits": totals.pop("correct"), **totals},
            "frozen": self.frozen.sha256 if self.frozen is not None else "",
            "threads": self.device.threads,
        }

    def load_weights(self, weights: Mapping[str, Tensor], source: str) -> None:
        """Replace the initial random weights."""
        check_weights(weights, self.model.state_dict(), source, self.config.model)
        self.model.load_state_dict(weights)
        if self._average is not None:
            self._average.restore(weights)

    def restore(self, payload: Payload, source: str) -> None:
        """Restore a `full_payload`; raise a CheckpointError if it does not fit this network."""
        if "optimizer" not in payload:
            raise CheckpointError(f"{source}: holds weights only and cannot be resumed from")
        try:
            self._restore(payload, source)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{source}: cannot be resumed from: {format_error(error)}"
            ) from error

    def _restore(self, payload: Payload, source: str) -> None:
        check_weights(payload["model"], self.model.state_dict(), source, self.config.model)
        self.model.load_state_dict(payload["model"])
        # Keep the options of the config, which a fork may have changed; restore the state.
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
        for key in COUNTERS:
            setattr(self, key, payload[key])
        self.best = BestEpoch(**payload["best"])
        totals = dict(payload["tally"])
        self.totals = EpochTotals(correct=totals.pop("hits"), **totals)
        if self.frozen is not None:
            self.frozen.sha256 = payload["frozen"]
        self.device.continue_with_threads(payload.get("threads", 0))
        rng.set_state(payload["rng"], self.device.torch_device)

"""A trained network with all it needs to be asked: classes, normalisation, picture size.

Checkpoints carry an `about` table beside the weights; a `Classifier` is made from the
two and answers for uint8 images. Evaluation, prediction and export all go through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fmnist_tui.config import plugins
from fmnist_tui.config.dataset_catalog import DatasetFacts
from fmnist_tui.config.problems import ConfigError
from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.data.images.prepare import Preparation
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, Payload, check_weights
from fmnist_tui.engine.compute.loader import DeviceSplit, Normalisation
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.inference.ensemble_module import LEAST, EnsembleModule
from fmnist_tui.engine.models import ModelSpec

EVAL_BATCH_SIZE = 1000
MAX_MEMBERS = 64
OnTick = Callable[[], None]


def no_op() -> None:
    """Nothing needs doing between two batches."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a checkpoint says of its weights, in plain values."""

    config: RunConfig
    facts: DatasetFacts
    channels: int
    size: int
    normalisation: Normalisation
    # Of an ensemble, which averages their probabilities; none where it is one network.
    members: tuple[ModelInfo, ...] = ()

    @classmethod
    def from_dataset(cls, config: RunConfig, dataset: Dataset) -> ModelInfo:
        _, size, _, channels = dataset.train.images.shape
        return cls(config, dataset.facts, channels, size, Normalisation.from_split(dataset.train))

    @classmethod
    def for_ensemble(cls, members: tuple[ModelInfo, ...], config: RunConfig) -> ModelInfo:
        """Of networks for the same pictures and classes, asked as one."""
        first = members[0]
        raw = Normalisation((0.0,) * first.channels, (1.0,) * first.channels)
        return cls(config, first.facts, first.channels, first.size, raw, members)

    @property
    def model(self) -> str:
        """The model's name; of an ensemble, what it is made of."""
        names = {member.config.model for member in self.members}
        if len(names) == 1:
            return f"{len(self.members)} × {names.pop()}"
        return f"ensemble of {len(self.members)}" if names else self.config.model

    @property
    def spec(self) -> ModelSpec:
        config = self.config
        classes = len(self.facts.classes)
        return ModelSpec(self.channels, self.size, classes, config.width, config.dropout)

    @property
    def signature(self) -> tuple[tuple[str, ...], int, int]:
        """What is told apart, and what the pictures are: classes, channels and size."""
        return self.facts.classes, self.channels, self.size

    @property
    def preparation(self) -> Preparation:
        return Preparation.for_dataset(self.facts, self.size, self.channels)

    def build(self) -> nn.Module:
        """The network, untrained."""
        if self.members:
            return EnsembleModule((member.build(), member.normalisation) for member in self.members)
        model: nn.Module = plugins.load("models", self.config.model).build(self.spec)
        return model

    def to_dict(self) -> dict[str, Any]:
        """The table as `from_plain` takes it, of values that JSON has as well."""
        config = {
            key: value for key, value in self.config.model_dump().items() if value is not None
        }
        plain = {
            "config": _listed(config),
            "facts": _listed(asdict(self.facts)),
            "channels": self.channels,
            "size": self.size,
            "mean": list(self.normalisation.mean),
            "std": list(self.normalisation.std),
        }
        if self.members:
            plain["members"] = [member.to_dict() for member in self.members]
        return plain

    @classmethod
    def from_dict(cls, plain: object, where: str) -> ModelInfo:
        """The table back from a checkpoint; a CheckpointError if it is not one."""
        try:
            if not isinstance(plain, Mapping):
                raise TypeError("no table")
            # A setting that a later version knows and this one does not is no obstacle.
            config = {key: value for key, value in plain["config"].items() if key in FIELDS}
            known = {field.name for field in fields(DatasetFacts)}
            facts = {key: value for key, value in plain["facts"].items() if key in known}
            names = tuple(str(name) for name in facts.pop("classes"))
            means, stds = (tuple(float(value) for value in plain[key]) for key in ("mean", "std"))
            channels, size = int(plain["channels"]), int(plain["size"])
            if channels not in (1, 3) or not 8 <= size <= 256 or len(names) < 2:
                raise ValueError("sizes out of range")
            if not len(means) == len(stds) == channels or min(stds) <= 0:
                raise ValueError("normalisation out of range")
            members = tuple(cls.from_dict(part, where) for part in _members(plain))
            about = cls(
                RunConfig.build(config),
                DatasetFacts(classes=names, **facts),
                channels,
                size,
                Normalisation(means, stds),
                members,
            )
            if any(member.signature != about.signature for member in members):
                raise ValueError("members for other pictures or classes")
            return about
        except ConfigError as error:
            raise CheckpointError(f"{where}: its config is not usable: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CheckpointError(
                f"{where}: does not say which model and data its weights are for"
            ) from None


def _members(plain: Mapping[str, Any]) -> list[Any]:
    """The tables of an ensemble's members, which are single networks and not too many."""
    members = plain.get("members", [])
    if not isinstance(members, list) or len(members) > MAX_MEMBERS:
        raise ValueError("no list of members")
    if any("members" in part for part in members):
        raise ValueError("ensembles inside")
    return members


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
    }


class Classifier:
    """A network in evaluation mode on a machine."""

    def __init__(self, about: ModelInfo, model: nn.Module, machine: TrainingDevice) -> None:
        self.info = about
        self.machine = machine
        self.model = model

    @classmethod
    def load(cls, payload: Payload, machine: TrainingDevice, where: str) -> Classifier:
        """The classifier in a checkpoint's payload."""
        about = ModelInfo.from_dict(payload.get("about"), where)
        return cls.from_weights(about, payload.get("weights"), machine, where)

    @classmethod
    def from_weights(
        cls, about: ModelInfo, weights: object, machine: TrainingDevice, where: str
    ) -> Classifier:
        """A classifier of the kind described, holding these weights.

        It computes in fp32 wherever it runs, so that a checkpoint's figures are its own."""
        if not isinstance(weights, Mapping):
            raise CheckpointError(f"{where}: holds no weights")
        # Before any memory is asked for: a stranger's file may describe a network of any size.
        with torch.device("meta"):
            expected = about.build().state_dict()
        check_weights(weights, expected, where, about.model)
        # The random weights it is born with must cost a training under way no random number.
        with torch.random.fork_rng(devices=[]):
            model = about.build()
        model.load_state_dict(weights)
        model = model.to(machine.device).to(memory_format=torch.channels_last)
        return cls(about, model.eval(), replace(machine, precision="fp32"))

    def predict_logits(self, split: Split, pulse: OnTick = no_op) -> npt.NDArray[np.float32]:
        """Logits (with several views, their mean log-probabilities) of every image."""
        data = DeviceSplit(split, self.machine.device)
        with self.machine.disable_tf32():
            return predict_logits(self.model, data, self.info, self.machine, pulse)

    def probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Class probabilities of a few images, (count, height, width, channels)."""
        from fmnist_tui.analysis.metrics import softmax

        none = np.zeros(len(images), np.int64)
        return softmax(self.predict_logits(Split("given", images, none, none)))


def predict_logits(
    model: nn.Module,
    data: DeviceSplit,
    about: ModelInfo,
    machine: TrainingDevice,
    pulse: OnTick = no_op,
) -> npt.NDArray[np.float32]:
    """The model's logits for a whole split, in order; leaves the model's mode as it was."""
    training = model.training
    model.eval()
    found: list[Tensor] = []
    try:
        for start in range(0, data.count, EVAL_BATCH_SIZE):
            pulse()
            with torch.inference_mode():
                images = data.slice(start, start + EVAL_BATCH_SIZE)
                pixels = about.normalisation.apply(images.float())
                found.append(forward_views(model, pixels, about.config.tta, machine).cpu())
    finally:
        model.train(training)
    result: npt.NDArray[np.float32] = torch.cat(found).numpy()
    return result


def forward_views(model: nn.Module, pixels: Tensor, tta: str, machine: TrainingDevice) -> Tensor:
    """The model's logits for normalised pixels, or the logarithms of the mean probabilities
    that it gives the views of `tta`."""
    pixels = pixels.contiguous(memory_format=torch.channels_last)

    def ask(view: Tensor) -> Tensor:
        with machine.autocast():
            answer: Tensor = model(view.contiguous(memory_format=torch.channels_last))
        return answer.float()

    if tta == "none":
        return ask(pixels)
    views = [pixels, pixels.flip(-1)]
    if tta == "flip+shift":
        # One pixel up-left and down-right of a frame mirrored by one pixel all round.
        padded = F.pad(pixels, (1,) * 4, mode="reflect")
        height, width = pixels.shape[-2:]
        moved = [padded[..., :height, :width], padded[..., 2:, 2:]]
        views += [*moved, *(view.flip(-1) for view in moved)]
    shares = torch.stack([ask(view).softmax(1) for view in views]).mean(0)
    return shares.clamp_min(LEAST).log()

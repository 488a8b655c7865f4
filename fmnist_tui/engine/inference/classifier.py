"""A trained network with everything needed to use it: classes, normalisation, image size.

A checkpoint holds an `about` table beside its weights; a `Classifier` is built from the two and
classifies uint8 images. Evaluation, prediction and export all use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.config import plugins
from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.config.problems import ConfigError
from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.data.fingerprint import Fingerprint
from fmnist_tui.data.images.prepare import Preparation
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, Payload, check_weights
from fmnist_tui.engine.compute.loader import DeviceSplit, Normalisation
from fmnist_tui.engine.compute.uploads import UPLOADS
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.inference.batch_size import evaluation_batch_size
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.step.in_flight import bound_queue

MAX_MEMBERS = 64
# Keeps the logarithm of a probability finite.
MIN_PROBABILITY = 1e-12
# An image is unsure whose second class is at least this likely relative to its first (`selective`).
UNSURE = 0.1
# Called between two batches, views or steps: serves small jobs, and may raise to cancel the work.
OnTick = Callable[[], None]


def no_op() -> None:
    """The `OnTick` of work that nothing interrupts."""


class EnsembleModule(nn.ModuleList):
    """Takes raw pixels, 0 to 255; returns the logarithm of its members' mean probabilities.

    Each member has a normalisation of its own, since members may have been trained on different
    parts of the images. A member's weights are prefixed by its number: `0.`, `1.` and so on."""

    def __init__(self, members: Iterable[tuple[nn.Module, Normalisation]]) -> None:
        networks, self._normalisations = zip(*members, strict=True)
        super().__init__(networks)

    def forward(self, pixels: Tensor) -> Tensor:
        probabilities = [
            network(normalisation.normalise(pixels)).float().softmax(1)
            for network, normalisation in zip(self, self._normalisations, strict=True)
        ]
        return torch.stack(probabilities).mean(0).clamp_min(MIN_PROBABILITY).log()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a checkpoint states about its weights (its `about` table).

    `data` identifies the images that a single network was trained with; older checkpoints and
    exported files lack it, or the identities in it."""

    config: RunConfig
    dataset: DatasetInfo
    channels: int
    size: int
    normalisation: Normalisation
    # the members of an ensemble; empty for a single network
    members: tuple[ModelInfo, ...] = ()
    data: Fingerprint | None = None

    @classmethod
    def from_dataset(cls, config: RunConfig, dataset: Dataset) -> ModelInfo:
        _, size, _, channels = dataset.train.images.shape
        normalisation = Normalisation.from_split(dataset.train)
        return cls(config, dataset.info, channels, size, normalisation, data=dataset.fingerprint)

    @classmethod
    def for_ensemble(cls, members: tuple[ModelInfo, ...], config: RunConfig) -> ModelInfo:
        """The ensemble of networks for the same images and classes; it takes raw pixels."""
        first = members[0]
        identity = Normalisation((0.0,) * first.channels, (1.0,) * first.channels)
        return cls(config, first.dataset, first.channels, first.size, identity, members)

    @property
    def model(self) -> str:
        """The model's name, or for an ensemble its number of members and their model."""
        names = {member.config.model for member in self.members}
        if len(names) == 1:
            return f"{len(self.members)} × {names.pop()}"
        return f"ensemble of {len(self.members)}" if names else self.config.model

    @property
    def spec(self) -> ModelSpec:
        classes, config = len(self.dataset.classes), self.config
        return ModelSpec(self.channels, self.size, classes, config.width, config.dropout)

    @property
    def signature(self) -> tuple[tuple[str, ...], int, int]:
        """Output and input of the network: classes, channels and image size."""
        return self.dataset.classes, self.channels, self.size

    @property
    def preparation(self) -> Preparation:
        return Preparation.for_dataset(self.dataset, self.size, self.channels)

    def build(self) -> nn.Module:
        """Build the untrained network."""
        if self.members:
            return EnsembleModule((member.build(), member.normalisation) for member in self.members)
        return plugins.build_plugin("models", self.config.model, nn.Module, self.spec)

    def to_dict(self, with_ids: bool = True) -> dict[str, Any]:
        """The `about` table of a checkpoint, in values that JSON supports.

        `with_ids`: with the identities of all images."""
        table: dict[str, Any] = {
            "config": self.config.model_dump(exclude_none=True),
            "facts": asdict(self.dataset),
            "channels": self.channels,
            "size": self.size,
            "mean": self.normalisation.mean,
            "std": self.normalisation.std,
        }
        if self.members:
            table["members"] = [member.to_dict(with_ids) for member in self.members]
        if self.data is not None:
            table["data"] = self.data.to_dict(with_ids)
        # Turns tuples into lists.
        return cast("dict[str, Any]", json.loads(json.dumps(table)))

    @classmethod
    def from_payload(cls, payload: Payload, source: str) -> ModelInfo:
        """Parse the `about` table of a checkpoint's payload."""
        return cls.from_dict(payload.get("about"), source)

    @classmethod
    def from_dict(cls, table: object, source: str) -> ModelInfo:
        """Parse an `about` table; raise a CheckpointError if it is not a valid one."""
        try:
            if not isinstance(table, Mapping):
                raise TypeError("no table")
            # Ignore settings and facts that only a later version knows.
            config = {key: value for key, value in table["config"].items() if key in FIELDS}
            names_of_facts = {field.name for field in fields(DatasetInfo)}
            facts = {key: value for key, value in table["facts"].items() if key in names_of_facts}
            names = tuple(str(name) for name in facts.pop("classes"))
            means, stds = (tuple(float(value) for value in table[key]) for key in ("mean", "std"))
            channels, size = int(table["channels"]), int(table["size"])
            if channels not in (1, 3) or not 8 <= size <= 256 or len(names) < 2:
                raise ValueError("sizes out of range")
            if not len(means) == len(stds) == channels or min(stds) <= 0:
                raise ValueError("normalisation out of range")
            members = table.get("members", [])
            if not isinstance(members, list) or len(members) > MAX_MEMBERS:
                raise ValueError("no list of members")
            if any("members" in member for member in members):
                raise ValueError("nested ensembles")
            info = cls(
                RunConfig.build(config),
                DatasetInfo(classes=names, **facts),
                channels,
                size,
                Normalisation(means, stds),
                tuple(cls.from_dict(member, source) for member in members),
                Fingerprint.from_dict(table["data"]) if "data" in table else None,
            )
            if any(member.signature != info.signature for member in info.members):
                raise ValueError("members for other images or classes")
            return info
        except ConfigError as error:
            raise CheckpointError(f"{source}: its config is not usable: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise CheckpointError(
                f"{source}: does not say which model and data its weights are for"
            ) from None


class Classifier:
    """A network in evaluation mode on a device. `source` names its weights, `notes` say which
    damaged checkpoints were passed over for them."""

    def __init__(
        self, info: ModelInfo, model: nn.Module, device: TrainingDevice, source: str = ""
    ) -> None:
        self.info, self.model, self.device = info, model, device
        self.source = source or info.model
        self.notes: tuple[str, ...] = ()

    @classmethod
    def load(cls, payload: Payload, device: TrainingDevice, source: str) -> Classifier:
        """Build the classifier of a checkpoint's payload."""
        info = ModelInfo.from_payload(payload, source)
        return cls.from_weights(info, payload.get("weights"), device, source)

    @classmethod
    def from_weights(
        cls, info: ModelInfo, weights: object, device: TrainingDevice, source: str
    ) -> Classifier:
        """Build a classifier with these weights.

        It always computes in fp32, so that a checkpoint has the same figures on every device."""
        if not isinstance(weights, Mapping):
            raise CheckpointError(f"{source}: holds no weights")
        # Before allocating anything: an untrusted file may describe a network of any size.
        with torch.device("meta"):
            expected = info.build().state_dict()
        check_weights(weights, expected, source, info.model)
        # Initialising the model must not draw from the generator of a running training.
        with torch.random.fork_rng(devices=[]):
            model = info.build()
        model.load_state_dict(weights)
        model = model.to(device.torch_device).to(memory_format=torch.channels_last)
        return cls(info, model.eval(), replace(device, precision="fp32"), source)

    @property
    def batch_size(self) -> int:
        """How many images it classifies at once."""
        return evaluation_batch_size(self.info.size, self.device.torch_device)

    def predict_logits(
        self, split: Split, on_tick: OnTick = no_op, on_view: OnTick = no_op
    ) -> npt.NDArray[np.float32]:
        """Logits of every image; with test-time augmentation, log of the mean probabilities.

        Raises a CheckpointError if they are no numbers: finite weights may be too large."""
        device = self.device.torch_device
        data = UPLOADS.find(split, device) or DeviceSplit(split, device)
        with self.device.evaluation_numerics():
            logits = predict_logits(self.model, data, self.info, self.device, on_tick, on_view)
        if not np.isfinite(logits.max(axis=1)).all():
            raise CheckpointError(
                f"{self.source}: the network's answers are NaN or infinite, its weights are no"
                " good; use an earlier checkpoint, or train again with a lower lr"
            )
        return logits

    def probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Class probabilities of a few images, (count, height, width, channels)."""
        zeros = np.zeros(len(images), np.int64)
        return softmax(self.predict_logits(Split("images", images, zeros, zeros)))


def predict_logits(
    model: nn.Module,
    data: DeviceSplit,
    info: ModelInfo,
    device: TrainingDevice,
    on_tick: OnTick = no_op,
    on_view: OnTick = no_op,
) -> npt.NDArray[np.float32]:
    """The model's logits for a split, in order; restores the model's mode.

    `on_tick` is called before every batch and `on_view` before every view of its images. A GPU
    goes on meanwhile: what is queued there is bounded, and its answers are waited for once."""
    was_training = model.training
    model.eval()
    batches: list[Tensor] = []
    queue = bound_queue(device.torch_device)
    try:
        size = evaluation_batch_size(info.size, data.device)
        for start in range(0, data.count, size):
            on_tick()
            with torch.inference_mode():
                pixels = info.normalisation.normalise(data.slice(start, start + size))
                batch = forward_views(model, pixels, info.config.tta, device, on_view=on_view)
                batches.append(batch.to("cpu", non_blocking=device.is_cuda))
            queue.launched(1)
        device.synchronize()
    finally:
        model.train(was_training)
    logits: npt.NDArray[np.float32] = torch.cat(batches).numpy()
    return logits


def forward_views(
    model: nn.Module,
    pixels: Tensor,
    tta: str,
    device: TrainingDevice,
    all_views: bool = False,
    on_view: OnTick = no_op,
) -> Tensor:
    """The model's logits for normalised pixels or, with test-time augmentation (`tta`), the
    logarithm of its mean probabilities over several views of each image.

    With `all_views`, all are computed even of images that are judged by few: the shapes do not
    depend on the images then."""
    pixels = pixels.contiguous(memory_format=torch.channels_last)

    def forward(view: Tensor) -> Tensor:
        on_view()
        with device.autocast():
            logits: Tensor = model(view.contiguous(memory_format=torch.channels_last))
        return logits.float()

    if tta == "none":
        return forward(pixels)

    def classify(views: list[Tensor]) -> Tensor:
        mirrored = [view.flip(-1) for view in views]
        return torch.stack([forward(view).softmax(1) for view in (*views, *mirrored)])

    near = classify([pixels])
    mean = near.mean(0)
    if tta == "flip+shift":
        mean = torch.cat([near, classify(_shift(pixels))]).mean(0)
    elif tta == "selective":
        first, second = mean.topk(2, 1).values.unbind(1)
        unsure = second > UNSURE * first
        if all_views:
            every = torch.cat([near, classify(_shift(pixels))]).mean(0)
            mean = torch.where(unsure.view(-1, 1), every, mean)
        else:
            # The only wait for the device, which a mask as an index would repeat.
            rows = unsure.nonzero().squeeze(1)
            if len(rows):
                shifted = classify(_shift(pixels[rows]))
                mean[rows] = torch.cat([near[:, rows], shifted]).mean(0)
    return mean.clamp_min(MIN_PROBABILITY).log()


def _shift(pixels: Tensor) -> list[Tensor]:
    """The images shifted by one pixel up-left and down-right, with reflected borders."""
    padded = F.pad(pixels, (1,) * 4, mode="reflect")
    height, width = pixels.shape[-2:]
    return [padded[..., :height, :width], padded[..., 2:, 2:]]

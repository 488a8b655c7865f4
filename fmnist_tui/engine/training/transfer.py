"""A run that starts with the weights of another run, or with those in a file.

Unlike a fork it starts at step 0 and has its own settings and classes: weights are copied by name.
If the classes differ or are unknown, the head is new. Whatever does not fit is refused before the
run has a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fmnist_tui.config import plugins
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints import weights_source
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore, check_weights
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.training import leakage
from fmnist_tui.engine.training.freezing import FrozenParts, head_name, select_tensors, tensor_names
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.runs.resolve_start import resolve_start
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


class TransferStart:
    """The weights that a config's `start` names, loaded and ready for a learner."""

    def __init__(self, config: RunConfig, runs_dir: Path) -> None:
        """Find and load them; raise a UserError if there are none."""
        path = resolve_start(config.start or "", runs_dir)
        loaded = weights_source.load(path)
        self._source, self._notes = loaded.source, loaded.notes
        self._weights = loaded.weights
        has_info = loaded.payload.get("about") is not None
        self._info = ModelInfo.from_payload(loaded.payload, loaded.source) if has_info else None
        if self._info is not None and self._info.members:
            raise CheckpointError(
                f"{loaded.source}: is an ensemble, which no run can start from: name one of its"
                " members"
            )
        # A name that finds these weights again from any working directory.
        is_listed = path.is_dir() and path.parent == runs_dir.absolute()
        self.config = config.changed(start=path.name if is_listed else str(path))
        file = Path(loaded.source).name
        self.provenance: dict[str, str | int] = {
            "started_from": self.config.start or "",
            "started_checkpoint": file,
            "started_step": loaded.step,
            "started_sha256": loaded.sha256 or _hash_file(path),
        }
        step = f" at step {loaded.step:,}" if loaded.step else ""
        self._summary = [f"started from {self.config.start}{step} ({file})"]

    def check(self, info: ModelInfo) -> None:
        """Refuse a model that the weights do not fit, parts that cannot be frozen, and held-out
        images that the weights were trained on."""
        if self._info is not None:
            self._notes += leakage.check_no_leak(self._source, self._info, info)
        model = info.build()
        expected = model.state_dict()
        new = select_tensors(model, info.config.renew, "renew")
        if self._info is None or self._info.dataset.classes != info.dataset.classes:
            new |= tensor_names(model, head_name(model))
        copied = {
            name: _match_float_type(tensor, expected.get(name))
            for name, tensor in self._adapt_weights(info.config, model).items()
            if name not in new
        }
        needed = {name: tensor for name, tensor in expected.items() if name not in new}
        check_weights(copied, needed, self._source, info.config.model)
        if info.config.freeze:
            frozen_new = sorted(new.intersection(FrozenParts(model, info.config.freeze).names))
            if frozen_new:
                raise UserError(
                    f"freeze = {info.config.freeze!r}: {frozen_new[0]} is new in this run and"
                    " cannot be frozen; freeze only parts that are copied"
                )
        self._weights = copied
        if new:
            layers = {name.rpartition(".")[0]: None for name in expected if name in new}
            self._summary.append(f"{len(copied)} tensors copied, new: {', '.join(layers)}")
        else:
            self._summary.append(f"all {len(copied)} tensors copied, including the head")

    def initialise(self, learner: Learner, _: CheckpointStore) -> tuple[str, ...]:
        """Copy the weights into the learner; returns notes for the run's record."""
        # Frees the weights early: this object lives as long as the run.
        weights, self._weights = self._weights, {}
        learner.load_weights({**learner.model.state_dict(), **weights}, self._source)
        return ("; ".join(self._summary), *self._notes)

    def _adapt_weights(self, config: RunConfig, model: nn.Module) -> Mapping[str, Tensor]:
        """Check that the weights are for the same model; adapt published ones to it."""
        before = self._info.config if self._info is not None else None
        if before is not None and (before.model, before.width) != (config.model, config.width):
            raise CheckpointError(
                f"{self._source}: holds a {safe_text(before.model)} of width {before.width:g}, not"
                f" a {config.model} of width {config.width:g}: use --model"
                f" {safe_text(before.model)} --width {before.width:g}"
            )
        refit = getattr(plugins.load_plugin("models", config.model), "refit", None)
        if before is not None or refit is None:
            return self._weights
        weights, notes = refit(self._weights, model)
        self._summary.extend(notes)
        adapted: Mapping[str, Tensor] = weights
        return adapted


def _match_float_type(tensor: Any, target: Tensor | None) -> Any:
    """Convert floats that were saved in another precision to the model's type."""
    if target is None or not isinstance(tensor, Tensor):
        return tensor
    are_floats = tensor.is_floating_point() and target.is_floating_point()
    return tensor.to(target.dtype) if are_floats else tensor


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

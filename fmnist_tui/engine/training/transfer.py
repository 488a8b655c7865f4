"""A run that begins with the weights of another run, or with those in a file.

Unlike a fork it has a step 0, and settings and classes of its own: what fits by name is
taken over. Where the classes are others, or not known, the head is new. What cannot fit is
refused before there is a folder for the run.
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
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.resolve_start import locate
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

PROVENANCE_KEYS = ("started_from", "started_checkpoint", "started_step", "started_sha256")


class TransferStart:
    """The weights that a config's `start` names, read and waiting for a learner."""

    def __init__(self, config: RunConfig, runs_dir: Path) -> None:
        """Find and read them; a UserError where there are none."""
        path = locate(config.start or "", runs_dir)
        is_run = path.is_dir()
        found = (
            weights_source.load_from_run(RunFolder(path))
            if is_run
            else weights_source.load_from_file(path)
        )
        self._where, self._notes = found.source, found.notes
        weights = found.payload.get("weights")
        if not isinstance(weights, Mapping):
            raise CheckpointError(f"{found.source}: holds no weights")
        self._given: Mapping[str, Tensor] = weights
        plain = found.payload.get("about")
        self._about = ModelInfo.from_dict(plain, found.source) if plain is not None else None
        if self._about is not None and self._about.members:
            raise CheckpointError(
                f"{found.source}: is an ensemble, which nothing can begin with: name one of its"
                " members"
            )
        self._taken: dict[str, Tensor] = {}
        self._told: list[str] = []
        # What leads here again, from whatever folder the command is given in.
        inside = is_run and path.parent == runs_dir.absolute()
        self.config = config.changed(start=path.name if inside else str(path))
        self.provenance: dict[str, str | int] = dict(
            zip(
                PROVENANCE_KEYS,
                (
                    self.config.start or "",
                    Path(found.source).name,
                    found.step,
                    found.sha256 or _digest(path),
                ),
                strict=True,
            )
        )
        step = f" at step {found.step:,}" if found.step else ""
        self._told.append(f"started from {self.config.start}{step} ({Path(found.source).name})")

    def check(self, about: ModelInfo) -> None:
        """Refuse a model that the weights are not for, parts that cannot be frozen, and images
        to be judged by that the weights have learnt from."""
        if self._about is not None:
            wrong = leakage.leak_reason(self._about.config, about.config)
            if wrong:
                raise CheckpointError(f"{self._where}: {wrong}")
        model = about.build()
        expected = model.state_dict()
        last = head_name(model)
        new = select_tensors(model, about.config.renew, "renew")
        if not self._knows(about):
            new |= tensor_names(model, last)
        weights = self._refitted(about.config, model)
        given = {
            name: _in_type_of(expected.get(name), tensor)
            for name, tensor in weights.items()
            if name not in new
        }
        needed = {name: tensor for name, tensor in expected.items() if name not in new}
        check_weights(given, needed, self._where, about.config.model)
        if about.config.freeze:
            unkept = sorted(new.intersection(FrozenParts(model, about.config.freeze).names))
            if unkept:
                raise UserError(
                    f"freeze = {about.config.freeze!r}: {unkept[0]} is new here and has nothing to"
                    " keep; freeze parts that are taken over"
                )
        self._taken = given
        told = f"all {len(given)} tensors taken over, the head too"
        if new:
            layers = {name.rpartition(".")[0]: None for name in expected if name in new}
            told = f"{len(given)} tensors taken over, new: {', '.join(layers)}"
        self._told.append(told)

    def initialise(self, learner: Learner, _: CheckpointStore) -> tuple[str, ...]:
        """Give the learner the weights; returns what the record is to say of it."""
        taken, self._taken, self._given = self._taken, {}, {}
        learner.load_weights({**learner.model.state_dict(), **taken}, self._where)
        return ("; ".join(self._told), *self._notes)

    def _knows(self, about: ModelInfo) -> bool:
        """Whether the weights are for the very classes that are to be told apart."""
        return self._about is not None and self._about.dataset.classes == about.dataset.classes

    def _refitted(self, config: RunConfig, model: nn.Module) -> Mapping[str, Tensor]:
        theirs = self._about.config if self._about is not None else None
        if theirs is not None and (theirs.model, theirs.width) != (config.model, config.width):
            raise CheckpointError(
                f"{self._where}: holds a {safe_text(theirs.model)} of width {theirs.width:g}, not"
                f" a {config.model} of width {config.width:g}: give it --model"
                f" {safe_text(theirs.model)} --width {theirs.width:g}"
            )
        refit = getattr(plugins.load("models", config.model), "refit", None)
        if theirs is not None or refit is None:
            return self._given
        weights, told = refit(self._given, model)
        self._told.extend(told)
        found: Mapping[str, Tensor] = weights
        return found


def _in_type_of(wanted: Tensor | None, given: Any) -> Any:
    """Weights kept with fewer digits, as floats of the kind the model has."""
    if wanted is None or not isinstance(given, Tensor):
        return given
    floats = given.is_floating_point() and wanted.is_floating_point()
    return given.to(wanted.dtype) if floats else given


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

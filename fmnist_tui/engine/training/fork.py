"""A new run that starts from a checkpoint of another run.

A full checkpoint (`last`, `step-N`) continues from its step, with the rates and length of the new
config. A checkpoint of weights only (`best`) provides the initial weights of a run that starts at
step 0. Whatever does not fit is refused before the new run has a folder.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints import weights_source
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore, check_weights
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.run.training_handle import ParentRun
from fmnist_tui.engine.training import leakage
from fmnist_tui.engine.training.freezing import FrozenParts
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import summarise_run
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import read_toml

# The settings that the optimiser state of a full checkpoint depends on.
FIXED_SETTINGS = ("optimizer", "freeze", "body_lr")
PROVENANCE_PREFIXES = ("forked_", "started_")


class ForkStart:
    """A parent's checkpoint, loaded and ready for the learner that starts from it."""

    def __init__(self, parent: ParentRun, config: RunConfig) -> None:
        """Load the checkpoint; raise a CheckpointError if such a run cannot start from it."""
        check_is_training(parent.folder, "forked")
        self._parent = parent.folder.name
        self._loaded = loaded = _load(parent)
        self._source = loaded.source
        self._info = ModelInfo.from_payload(loaded.payload, loaded.source)
        self._notes: tuple[str, ...] = ()
        self._is_full = "optimizer" in loaded.payload
        if self._is_full:
            self._check_continuation(config, loaded.epoch)
        if config.start not in (None, self._info.config.start):
            raise CheckpointError(
                f"a fork starts from its checkpoint ({loaded.source}), not from start ="
                f" {safe_text(config.start, 80)!r}: leave start out, or do not fork"
            )

    def _check_continuation(self, config: RunConfig, epoch: int) -> None:
        if epoch >= config.epochs:
            raise CheckpointError(
                f"{self._source} has already trained {epoch} epochs: set epochs above that, or"
                " start again from the weights in best"
            )
        for key in FIXED_SETTINGS:
            before, now = getattr(self._info.config, key), getattr(config, key)
            if before != now:
                raise CheckpointError(
                    f"{self._source} continues with {key} {before or 'none'}, not {now or 'none'}:"
                    " keep it, or start again from the weights in best"
                )

    @property
    def provenance(self) -> dict[str, str | int]:
        """Where the run came from, for its config.toml."""
        return {"forked_from": self._parent, "forked_step": self._loaded.step}

    def check(self, info: ModelInfo) -> None:
        """Refuse a model or dataset that the weights do not fit."""
        before, now = self._info.dataset.classes, info.dataset.classes
        if before != now:
            raise CheckpointError(
                f"{self._source} was trained on other classes ({_list_classes(before)}) than"
                f" {safe_text(info.config.dataset, 60)} has ({_list_classes(now)})"
            )
        self._notes = leakage.check_no_leak(self._source, self._info, info)
        weights = self._loaded.payload["model" if self._is_full else "weights"]
        model = info.build()
        check_weights(weights, model.state_dict(), self._source, info.config.model)
        if info.config.freeze:
            FrozenParts(model, info.config.freeze)

    def initialise(self, learner: Learner, _: CheckpointStore) -> tuple[str, ...]:
        """Restore the checkpoint into the learner; returns notes for the run's record."""
        step, file = self._loaded.step, Path(self._source).name
        origin = f"forked from {self._parent} at step {step:,} ({file})"
        notes = [origin, *self._loaded.notes, *self._notes]
        payload = dict(self._loaded.payload)
        # Frees the weights early: this object lives as long as the run.
        self._loaded.payload.clear()
        if not self._is_full:
            learner.load_weights(payload["weights"], self._source)
            return tuple(notes)
        learner.restore(payload, self._source)
        learner.reset_history()
        has_same_batches = leakage.has_same_batches(self._info, learner.info)
        if not learner.is_position_consistent or not has_same_batches:
            learner.restart_epoch()
            notes.append(f"its batches differ: epoch {learner.epoch + 1} starts again")
        return tuple(notes)


def check_is_training(folder: RunFolder, what: str) -> None:
    """Refuse a run that is not a training; `what` is "resumed" or "forked"."""
    if refusal := summarise_run(folder).refusal(what):
        raise UserError(refusal)


def read_provenance(config: Path) -> dict[str, str | int]:
    """What a run's config.toml states about the origin of its weights; empty if it has none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        table = read_toml(config)["made_with"]
        return {
            key: value
            for key, value in table.items()
            if key.startswith(PROVENANCE_PREFIXES) and isinstance(value, (str, int))
        }
    return {}


def _load(parent: ParentRun) -> weights_source.LoadedWeights:
    folder, checkpoint = parent.folder, parent.checkpoint
    store = CheckpointStore(folder.checkpoints)
    name = safe_text(folder.name)
    if checkpoint == "best" and store.own != "best":
        raise CheckpointError(f"{name}: there is no best checkpoint yet; fork from last")
    if checkpoint in ("best", "last"):
        return weights_source.load_from_run(folder, checkpoint)
    path = weights_source.find_checkpoint_file(folder, checkpoint)
    if path is None:
        steps = (manifest.file for manifest in store.manifests("step"))
        raise CheckpointError(
            f"{name}: there is no checkpoint {safe_text(checkpoint, 80)}"
            f" (there are {', '.join(('last', 'best', *steps))})"
        )
    return weights_source.load_from_file(path)


def _list_classes(classes: tuple[str, ...]) -> str:
    return safe_text(", ".join(classes), 60)

"""A new run that begins from a checkpoint of another.

A checkpoint with everything in it (`last`, `step-N`) goes on from its step, by the new
config's rates and length. One with weights only (`best`) gives them to a fresh learner at
step 0. What cannot fit is refused before there is a folder for the new run.
"""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints import weights_source
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore, check_weights
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.run.training_handle import ParentRun
from fmnist_tui.engine.training import leakage, transfer
from fmnist_tui.engine.training.freezing import FrozenParts
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import summarise
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

PROVENANCE_KEYS = ("forked_from", "forked_step")
# What the state of the optimiser in a whole checkpoint is made for.
FIXED = ("optimizer", "freeze", "body_lr")


class ForkStart:
    """A parent's checkpoint, read and waiting for the learner that begins from it."""

    def __init__(self, parent: ParentRun, config: RunConfig) -> None:
        """Read the checkpoint; a CheckpointError where it cannot begin such a run."""
        check_is_training(parent.folder, "forked")
        self._run = parent.folder.name
        found = _found(parent)
        self._payload, self._where, self._notes = found.payload, found.source, found.notes
        self._file = Path(found.source).name
        self.step = found.step
        self._about = ModelInfo.from_dict(found.payload.get("about"), found.source)
        self._whole = "optimizer" in found.payload
        if self._whole and found.epoch >= config.epochs:
            raise CheckpointError(
                f"{found.source} has {found.epoch} epochs behind it: set epochs above that, or"
                " begin anew from the weights in best"
            )
        for key in FIXED if self._whole else ():
            before, now = getattr(self._about.config, key), getattr(config, key)
            if before != now:
                raise CheckpointError(
                    f"{found.source} goes on with {key} {before or 'none'}, not {now or 'none'}:"
                    " keep it, or begin anew from the weights in best"
                )
        if config.start not in (None, self._about.config.start):
            raise CheckpointError(
                f"a fork begins from its checkpoint ({found.source}), not from start ="
                f" {safe_text(config.start, 80)!r}: leave start out, or do not fork"
            )

    @property
    def provenance(self) -> dict[str, str | int]:
        """Where the run came from, for its config.toml."""
        return dict(zip(PROVENANCE_KEYS, (self._run, self.step), strict=True))

    def check(self, about: ModelInfo) -> None:
        """Refuse a model or data that the weights are not for."""
        theirs, ours = self._about.dataset.classes, about.dataset.classes
        if theirs != ours:
            raise CheckpointError(
                f"{self._where} knows other classes ({_listed(theirs)}) than"
                f" {safe_text(about.config.dataset, 60)} has ({_listed(ours)})"
            )
        wrong = leakage.leak_reason(self._about.config, about.config)
        if wrong:
            raise CheckpointError(f"{self._where}: {wrong}")
        weights = self._payload["model" if self._whole else "weights"]
        model = about.build()
        check_weights(weights, model.state_dict(), self._where, about.config.model)
        if about.config.freeze:
            FrozenParts(model, about.config.freeze)

    def initialise(self, learner: Learner, _: CheckpointStore) -> tuple[str, ...]:
        """Give the learner what was kept; returns what the record is to say of it."""
        payload, self._payload = self._payload, {}
        notes = [f"forked from {self._run} at step {self.step:,} ({self._file})", *self._notes]
        if not self._whole:
            learner.load_weights(payload["weights"], self._where)
            return tuple(notes)
        learner.restore(payload, self._where)
        learner.reset_history()
        if (
            not learner.is_position_consistent
            or learner.config.batch_size != self._about.config.batch_size
        ):
            learner.restart_epoch()
            notes.append(f"its batches are other ones: epoch {learner.epoch + 1} begins anew")
        return tuple(notes)


def check_is_training(folder: RunFolder, what: str) -> None:
    """Refuse to train on what was no training; `what` is resumed or forked."""
    refused = summarise(folder).refusal(what)
    if refused:
        raise UserError(refused)


def read_provenance(config: Path) -> dict[str, str | int]:
    """What a run's config.toml says of where its weights came from; nothing for its own."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        text = config.read_text(encoding="utf-8", errors="surrogateescape")
        table = tomllib.loads(text)["made_with"]
        known = (*PROVENANCE_KEYS, *transfer.PROVENANCE_KEYS)
        return {key: table[key] for key in known if isinstance(table.get(key), (str, int))}
    return {}


def _found(parent: ParentRun) -> weights_source.LoadedWeights:
    folder, wanted = parent.folder, parent.checkpoint
    store = CheckpointStore(folder.checkpoints)
    name = safe_text(folder.name)
    if wanted == "best" and not store.manifests("best"):
        raise CheckpointError(f"{name}: there is no best checkpoint yet; fork from last")
    if wanted in ("best", "last"):
        return weights_source.load_from_run(folder, wanted)
    path = weights_source.find_checkpoint_file(folder, wanted)
    if path is None:
        steps = (manifest.file for manifest in store.manifests("step"))
        raise CheckpointError(
            f"{name}: there is no checkpoint {safe_text(wanted, 80)}"
            f" (there are {', '.join(('last', 'best', *steps))})"
        )
    return weights_source.load_from_file(path)


def _listed(classes: tuple[str, ...]) -> str:
    return safe_text(", ".join(classes), 60)

"""A new run that begins from a checkpoint of another.

A checkpoint with everything in it (`last`, `step-N`) goes on from its step, by the new
config's rates and length. One with weights only (`best`) gives them to a fresh learner at
step 0. What cannot fit is refused before there is a folder for the new run.
"""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path

from fmnist_tui.config import RunConfig
from fmnist_tui.engine import origin
from fmnist_tui.engine.checkpoint import CheckpointError, Store, check_weights
from fmnist_tui.engine.classifier import About
from fmnist_tui.engine.learner import Learner
from fmnist_tui.engine.training import Parent
from fmnist_tui.text import safe_text

MADE_FROM = ("forked_from", "forked_step")


class Fork:
    """A parent's checkpoint, read and waiting for the learner that begins from it."""

    def __init__(self, parent: Parent, config: RunConfig) -> None:
        """Read the checkpoint; a CheckpointError where it cannot begin such a run."""
        self._run = parent.folder.name
        found = _found(parent)
        self._payload, self._where, self._notes = found.payload, found.where, found.notes
        self._file = Path(found.where).name
        self.step = found.step
        self._about = About.from_plain(found.payload.get("about"), found.where)
        self._whole = "optimizer" in found.payload
        if self._whole and found.epoch >= config.epochs:
            raise CheckpointError(
                f"{found.where} has {found.epoch} epochs behind it: set epochs above that, or"
                " begin anew from the weights in best"
            )
        before = self._about.config.optimizer
        if self._whole and before != config.optimizer:
            raise CheckpointError(
                f"{found.where} goes on with optimizer {before}, not {config.optimizer}: keep it,"
                " or begin anew from the weights in best"
            )

    @property
    def made_from(self) -> dict[str, str | int]:
        """Where the run came from, for its config.toml."""
        return dict(zip(MADE_FROM, (self._run, self.step), strict=True))

    def check(self, about: About) -> None:
        """Refuse a model or data that the weights are not for."""
        theirs, ours = self._about.facts.classes, about.facts.classes
        if theirs != ours:
            raise CheckpointError(
                f"{self._where} knows other classes ({_listed(theirs)}) than"
                f" {safe_text(about.config.dataset, 60)} has ({_listed(ours)})"
            )
        weights = self._payload["model" if self._whole else "weights"]
        check_weights(weights, about.build().state_dict(), self._where, about.config.model)

    def begin(self, learner: Learner, _: Store) -> tuple[str, ...]:
        """Give the learner what was kept; returns what the record is to say of it."""
        payload, self._payload = self._payload, {}
        notes = [f"forked from {self._run} at step {self.step:,} ({self._file})", *self._notes]
        if not self._whole:
            learner.take_weights(payload["weights"], self._where)
            return tuple(notes)
        learner.restore(payload, self._where)
        learner.become_new()
        if not learner.in_place or learner.config.batch_size != self._about.config.batch_size:
            learner.to_start_of_epoch()
            notes.append(f"its batches are other ones: epoch {learner.epoch + 1} begins anew")
        return tuple(notes)


def made_from(config: Path) -> dict[str, str | int]:
    """What a run's config.toml says of where it was forked from; nothing if it was not."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        text = config.read_text(encoding="utf-8", errors="surrogateescape")
        table = tomllib.loads(text)["made_with"]
        return {key: table[key] for key in MADE_FROM if isinstance(table[key], (str, int))}
    return {}


def _found(parent: Parent) -> origin.Origin:
    folder, wanted = parent.folder, parent.checkpoint
    store = Store(folder.checkpoints)
    name = safe_text(folder.name)
    if wanted == "best" and not store.manifests("best"):
        raise CheckpointError(f"{name}: there is no best checkpoint yet; fork from last")
    if wanted in ("best", "last"):
        return origin.of_run(folder, wanted)
    path = origin.inside(folder, wanted)
    if path is None:
        steps = (manifest.file for manifest in store.manifests("step"))
        raise CheckpointError(
            f"{name}: there is no checkpoint {safe_text(wanted, 80)}"
            f" (there are {', '.join(('last', 'best', *steps))})"
        )
    return origin.of_file(path)


def _listed(classes: tuple[str, ...]) -> str:
    return safe_text(", ".join(classes), 60)

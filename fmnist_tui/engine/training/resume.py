"""Resuming a run: its own last checkpoint, and the best checkpoint that belongs to it.

If no last can be used the run goes on from its best, which holds weights only; if it was killed
before it saved anything, it begins again.

A process can be killed after it saved a `best` and before the next `last`. The resumed run trains
the steps between the two again, perhaps with another rate: that `best` is of steps which no
longer happen. It is deleted, so that the newest best on disk is the one the learner knows.
"""

from __future__ import annotations

from fmnist_tui.config.recipes import read_recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints.checkpoint import (
    CheckpointError,
    CheckpointManifest,
    CheckpointStore,
    Payload,
)
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.training import leakage
from fmnist_tui.engine.training.fork import read_provenance
from fmnist_tui.engine.training.learner import BestEpoch, Learner
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.text import safe_text

BEGINS_AGAIN = "nothing was trained and saved before the run ended: it begins again at step 0"


def check_epochs(folder: RunFolder, config: RunConfig, before: RunState) -> None:
    """Refuse a length that leaves nothing to do, before anything of the run is changed."""
    store, name = CheckpointStore(folder.checkpoints), safe_text(folder.name)
    manifests = store.manifests("last") or store.manifests("best")
    done = manifests[0].epoch if manifests else 0
    trained = format_count(done, "epoch")
    if config.epochs < done:
        raise UserError(
            f"{name} has already trained {trained}: epochs = {config.epochs} cannot undo that"
        )
    if before.end_reason == FINISHED and config.epochs == done:
        raise UserError(
            f"{name} is finished ({trained}): to train on, give more epochs; to evaluate it again,"
            f" use `fmnist-tui evaluate {safe_text(folder.id)}`"
        )


def describe_changes(folder: RunFolder, config: RunConfig, before: RunState) -> str:
    """`epochs 4 instead of 3`: the settings in which a resumed run differs from its own so far."""
    recipe = read_recipe(folder.config)
    changes = [
        f"{name} {safe_text(str(new))} instead of {safe_text(str(old))}"
        for name, (new, old) in config.differences(recipe.config()).items()
    ]
    was_on_gpu = before.started is not None and before.started.device.startswith("cuda")
    is_older = "deterministic" not in recipe.values
    if was_on_gpu and is_older and recipe.values.get("precision") == config.precision == "fp32":
        changes.append("fp32 instead of tf32 (earlier versions used it for fp32)")
    return ", ".join(changes)


def begins_again(folder: RunFolder, before: RunState) -> bool:
    """Whether a run was killed before it saved anything, so that it is trained from its start."""
    if before.checkpoints or any(folder.checkpoints.glob("*.json")):
        return False
    if not can_begin_again(folder):
        raise UserError(
            f"{safe_text(folder.name)} has saved nothing yet: fork its parent once more instead"
        )
    return True


def can_begin_again(folder: RunFolder) -> bool:
    """Whether a run that has saved nothing can be trained from its start: a fork cannot."""
    return "forked_from" not in read_provenance(folder.config)


class ResumeStart:
    """A run's own last checkpoint, or its best, loaded and ready for its learner.

    `before` is the run as its earlier sessions left it."""

    def __init__(
        self, store: CheckpointStore, info: ModelInfo, before: RunState | None = None
    ) -> None:
        """Load it; raise a UserError if there is none that can be used with this data."""
        self._payload, self._manifest, notes = _load(store)
        self._before, file = before or RunState(), self._manifest.file
        self._saved = ModelInfo.from_payload(self._payload, file)
        leakage.check_classes(file, self._saved, info.dataset)
        changes = leakage.check_images(file, self._saved, info.dataset, info.data)
        self._notes = [*notes, *changes]

    def initialise(self, learner: Learner, store: CheckpointStore) -> tuple[str, ...]:
        """Restore the checkpoint into the learner; returns notes for the run's record."""
        payload, file = dict(self._payload), self._manifest.file
        # Frees the weights early: this object lives as long as the run.
        self._payload.clear()
        if self._manifest.kind == "last":
            learner.restore(payload, file)
        else:
            learner.load_weights(payload["weights"], file)
            learner.step, learner.epoch = self._manifest.step, self._manifest.epoch
            learner.best = BestEpoch(**payload["best"])
            epochs = self._before.epochs
            learner.seconds = sum(each.seconds for each in epochs if each.epoch <= learner.epoch)
        has_same_batches = leakage.has_same_batches(self._saved, learner.info)
        if not learner.is_position_consistent or not has_same_batches:
            learner.restart_epoch()
            if learner.epoch < learner.config.epochs:
                again = f"its batches differ: epoch {learner.epoch + 1} starts again"
                self._notes.append(again)
        saved, config = self._saved.config, learner.config
        is_longer = (saved.epochs, saved.patience) != (config.epochs, config.patience)
        if self._before.end_reason == FINISHED or is_longer:
            # More training is requested.
            learner.continue_after_patience()
        if saved.lr != config.lr:
            # A newly requested learning rate replaces one that was changed during the run.
            learner.lr_factor = 1.0
        return (*self._notes, *_settle_best(learner, store))


def _load(store: CheckpointStore) -> tuple[Payload, CheckpointManifest, tuple[str, ...]]:
    """The newest last that can be used; if there is none, the newest best."""
    try:
        return store.load("last")
    except CheckpointError as error:
        if store.own != "best":
            raise
        why = str(error) if any(store.folder.glob("last-*.json")) else "there is no last checkpoint"
        payload, manifest, notes = store.load("best")
    goes_on = f"the run goes on from {manifest.file} (step {manifest.step:,})"
    note = f"{goes_on}, with a new optimiser and so to other weights: {why}"
    return payload, manifest, (note, *notes)


def _settle_best(learner: Learner, store: CheckpointStore) -> tuple[str, ...]:
    """Make the learner and the disk agree about the best checkpoint so far."""
    step, generation = learner.best.step, 0
    notes: tuple[str, ...] = ()
    try:
        payload, manifest, notes = store.load("best", step)
    except CheckpointError as error:
        learner.best = BestEpoch()
        if step:
            notes = (f"{error}: the next epoch counts as the best",)
    else:
        learner.best, generation = BestEpoch(**payload["best"]), manifest.generation
    deleted = [
        f"{file} is deleted: "
        + (
            f"the run goes on from step {learner.step:,}, before that checkpoint"
            if step_of_file > learner.step
            else "it cannot be used"
        )
        for file, step_of_file in store.delete_newer("best", generation)
    ]
    return (*notes, *deleted)

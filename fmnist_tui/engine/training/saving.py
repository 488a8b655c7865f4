"""Saves the state of a training. A full disk does not end it, but is said, and so is its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.run.run_record import checkpoint_saved
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.events import Alert, Event
from fmnist_tui.util.errors import format_error


class CheckpointSaver:
    """Saves the checkpoints of one training, and tells its record."""

    def __init__(
        self, learner: Learner, store: CheckpointStore, emit: Callable[[Event], None]
    ) -> None:
        self._learner, self._store, self._emit = learner, store, emit
        # whether the run can be resumed from a checkpoint of its own
        self.has_last = bool(store.manifests("last"))
        # kinds of checkpoints that could not be saved lately, and why
        self._errors: dict[str, str] = {}

    def save(self, kind: str) -> bool:
        """Save `last`, `best` or `step`; returns whether it is on disk. Without space, earlier
        checkpoints remain; that is reported once, and once more when there is space again."""
        learner = self._learner
        try:
            payload = learner.weights_payload() if kind == "best" else learner.full_payload()
            manifest = self._store.save(kind, payload, learner.step, learner.epoch)
        except OSError as error:
            if not self._errors:
                self._alert(
                    "warning",
                    f"checkpoint not saved ({format_error(error)}); training continues, earlier"
                    " checkpoints remain",
                )
            self._errors[kind] = format_error(error)
            return False
        self._emit(checkpoint_saved(manifest))
        self.has_last = self.has_last or kind == "last"
        if self._errors:
            # Where there is space for a `last`, there is space for every other checkpoint.
            if kind == "last":
                self._errors.clear()
            self._errors.pop(kind, None)
            if not self._errors:
                self._alert("note", "checkpoints are saved again")
        return True

    def explain_unsaved(self) -> str:
        """What is lost because the last state could not be saved."""
        why = self._errors.get("last", "")
        saved = max(
            (kept for kind in ("last", "best", "step") for kept in self._store.manifests(kind)),
            key=lambda manifest: manifest.step,
            default=None,
        )
        if saved is None:
            return f"no checkpoint could be saved ({why}): nothing is left of this training"
        at = f"the checkpoint at step {self._learner.step:,} could not be saved ({why})"
        return f"{at}: the newest on disk is {saved.file}, of step {saved.step:,}"

    def _alert(self, level: str, message: str) -> None:
        self._emit(Alert(time.time(), level, message))

"""Saves the state of a training while it goes on. A full disk does not end it, but is said, and
so is its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from fmnist_tui.engine.checkpoints.checkpoint import (
    CheckpointManifest,
    CheckpointStore,
    EncodedCheckpoint,
    Payload,
)
from fmnist_tui.engine.checkpoints.host_copy import copy_to_host
from fmnist_tui.engine.run.run_record import checkpoint_saved
from fmnist_tui.engine.training.learner import BestEpoch, Learner
from fmnist_tui.protocol.events import BEST_EPOCH, Alert, Changed, Event
from fmnist_tui.util.errors import format_error

# A kind of checkpoint with its manifest, or with why it is not on disk.
Outcome = tuple[str, CheckpointManifest | OSError]


class CheckpointSaver:
    """Saves the checkpoints of one training, and tells its record what is on disk.

    The session's thread makes a checkpoint's bytes, which takes as long as copying them. A thread
    that calls no torch hashes, writes and syncs them. One save is written at a time, and the next
    waits for it: so only one is in memory, they get onto the disk in the order of their steps, and
    the best one to beat is one that is on disk. All methods are called by the session's thread,
    which reports what was written at the next call of `is_busy` or `finish`."""

    def __init__(
        self, learner: Learner, store: CheckpointStore, emit: Callable[[Event], None]
    ) -> None:
        self._learner, self._store, self._emit = learner, store, emit
        # whether the run can be resumed from a checkpoint of its own
        self.has_last = bool(store.manifests("last"))
        # kinds of checkpoints that could not be saved lately, and why
        self._errors: dict[str, str] = {}
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[list[Outcome]] | None = None
        self._best_on_disk = learner.best

    @property
    def is_busy(self) -> bool:
        """Whether a checkpoint is being written."""
        if self._writing is not None and self._writing.done():
            self.finish()
        return self._writing is not None

    @property
    def is_last_lost(self) -> bool:
        """Whether the newest `last` could not be saved."""
        return "last" in self._errors

    def save(self, best: BestEpoch | None, *kinds: str) -> None:
        """Begin to save the learner's weights as the best so far, if that is given, and then all
        that a resumed run needs as these kinds of checkpoint, `last` or `step`.

        If a best cannot be saved, the best remains the one before: what can be evaluated at the
        end is the best that is on disk."""
        self.finish()
        learner, checkpoints = self._learner, list[tuple[str, EncodedCheckpoint]]()
        if best is not None:
            self._best_on_disk, learner.best = learner.best, best
            checkpoints.append(("best", self._encode(learner.weights_payload())))
        if kinds:
            full = self._encode(learner.full_payload())
            checkpoints += [(kind, full) for kind in kinds]
        try:
            self._writing = self._thread.submit(self._write, checkpoints)
        except RuntimeError:
            # No thread starts while the interpreter ends.
            self._writing = Future()
            self._writing.set_result(self._write(checkpoints))

    def wait(self, seconds: float) -> None:
        """Wait at most this long for what is being written."""
        if self._writing is not None:
            wait([self._writing], seconds)

    def finish(self) -> None:
        """Wait for what is being written, and report it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            for kind, result in writing.result():
                self._report(kind, result)

    def close(self) -> None:
        """Finish, and end the thread."""
        try:
            self.finish()
        finally:
            self._thread.shutdown()

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

    def _encode(self, payload: Payload) -> EncodedCheckpoint:
        learner = self._learner
        on_host = copy_to_host(payload, learner.device)
        return EncodedCheckpoint.encode(on_host, learner.step, learner.epoch)

    def _write(self, checkpoints: Iterable[tuple[str, EncodedCheckpoint]]) -> list[Outcome]:
        """Called by the writing thread."""
        outcomes: list[Outcome] = []
        for kind, encoded in checkpoints:
            try:
                outcomes.append((kind, self._store.write(kind, encoded)))
            except OSError as error:
                outcomes.append((kind, error))
        return outcomes

    def _report(self, kind: str, result: CheckpointManifest | OSError) -> None:
        """Without space, earlier checkpoints remain; that is reported once, and once more when
        there is space again."""
        if isinstance(result, OSError):
            if not self._errors:
                self._alert(
                    "warning",
                    f"checkpoint not saved ({format_error(result)}); training continues, earlier"
                    " checkpoints remain",
                )
            self._errors[kind] = format_error(result)
            if kind == "best":
                best = self._learner.best = self._best_on_disk
                self._emit(Changed(time.time(), best.step, BEST_EPOCH, str(best.epoch)))
            return
        self._emit(checkpoint_saved(result))
        self.has_last = self.has_last or kind == "last"
        if self._errors:
            # Where there is space for a `last`, there is space for every other checkpoint.
            if kind == "last":
                self._errors.clear()
            self._errors.pop(kind, None)
            if not self._errors:
                self._alert("note", "checkpoints are saved again")

    def _alert(self, level: str, message: str) -> None:
        self._emit(Alert(time.time(), level, message))


class NoSaver(CheckpointSaver):
    """Saves nothing: what several processes train is saved by the first."""

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner, CheckpointStore(Path(os.devnull)), lambda _: None)
        self.has_last = True

    def save(self, best: BestEpoch | None, *kinds: str) -> None:
        if best is not None:
            self._learner.best = best

"""The record of a run: its config, its checkpoints and evaluations."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

import numpy as np
import torch

import fmnist_tui
from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.checkpoints.checkpoint import (
    CheckpointIdentity,
    CheckpointManifest,
    CheckpointStore,
)
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.inference.classifier import Classifier, OnTick, no_op
from fmnist_tui.engine.inference.evaluate import (
    SplitEvaluation,
    evaluate_split,
    tick_with_progress,
)
from fmnist_tui.engine.run.notifier import Emit, notifying
from fmnist_tui.engine.run.phase import Phase
from fmnist_tui.engine.run.run_end import emit_run_ended
from fmnist_tui.protocol.events import FINISHED, Alert, CheckpointSaved, Event
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import EventLog
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, format_error


@contextlib.contextmanager
def record_run(folder: RunFolder, write_config: Callable[[], None]) -> Iterator[Emit]:
    """Lock a new run, have its config written, and give a function that writes its events; used
    by runs without a Training. A run that cannot get so far leaves no folder.

    The last event is a `RunEnded`. Every exception is raised again; a record that is incomplete
    at the end, or whose folder is gone, is a UserError."""
    with contextlib.ExitStack() as stack:
        with folder.deleted_on_error():
            lock = stack.enter_context(RunLock.acquire(folder.path))
            write_config()
        log = EventLog(folder.events)

        def emit(event: Event) -> None:
            lock.require_folder()
            log.append(event)

        try:
            with notifying(folder, log.append) as told, emit_run_ended(folder, told) as end:
                yield emit
                end.reason, end.message = FINISHED, ""
        finally:
            loss = log.close()
        lock.require_folder()
        if loss:
            raise UserError(loss)


def write_config(
    folder: RunFolder,
    config: RunConfig,
    device: TrainingDevice,
    provenance: Mapping[str, str | int | float],
) -> None:
    """Write a run's settings with the versions, the machine and what the run is made from."""
    made_with: dict[str, str | int | float] = {
        "fmnist_tui": fmnist_tui.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": str(device.torch_device),
        "device_name": device.name,
        "precision": device.precision,
        "threads": device.threads,
        "system": platform.platform(),
        **provenance,
    }
    text = recipes.to_toml(config, made_with)
    try:
        atomic_write(folder.config, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        why = f"cannot write the run's config in {folder.path}: {format_error(error)}"
        raise UserError(why) from error


def checkpoint_saved(manifest: CheckpointManifest) -> CheckpointSaved:
    """The event for a checkpoint that has been written."""
    facts = asdict(manifest)
    del facts["generation"], facts["best_step"]
    return CheckpointSaved(time.time(), **facts)


def evaluate_and_record(
    classifier: Classifier,
    split: Split,
    checkpoint: CheckpointIdentity,
    folder: RunFolder,
    emit: Emit,
    on_view: OnTick = no_op,
    on_tick: OnTick = no_op,
) -> None:
    """Evaluate a run's checkpoint on a split, emit the result and save the predictions."""
    phase, count = Phase(emit, checkpoint.step, f"evaluating on {split.name}"), len(split)
    size = classifier.batch_size
    tick = tick_with_progress(on_tick, phase.on_progress, "", count, 0, count, size)
    evaluation = evaluate_split(classifier, split, checkpoint, tick, on_view)
    emit(evaluation.to_event())
    try:
        save_predictions(folder, evaluation)
    except OSError as error:
        emit(Alert(time.time(), "warning", f"predictions not saved ({format_error(error)})"))


def save_predictions(folder: RunFolder, evaluation: SplitEvaluation) -> None:
    """Save the predictions of a run's own checkpoint, or those of another under its own name."""
    is_own = evaluation.checkpoint == CheckpointStore(folder.checkpoints).own
    name = "" if is_own else evaluation.checkpoint
    folder.remove_temporaries()
    evaluation.predictions.save(folder.predictions_of(evaluation.predictions.split, name))

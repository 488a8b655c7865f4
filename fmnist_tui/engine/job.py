"""One training job, from a config to an ended run.

Data and device come first, so that a run folder exists only for a run that could
start. From then on exactly one `RunEnded` is said on every path that Python survives.
"""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import fmnist_tui
from fmnist_tui import recipes
from fmnist_tui.commands import Stop
from fmnist_tui.config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import load_dataset
from fmnist_tui.engine import fork
from fmnist_tui.engine.checkpoint import CheckpointError, Store
from fmnist_tui.engine.classifier import About, Classifier, Pulse
from fmnist_tui.engine.device import Machine, choose
from fmnist_tui.engine.evaluate import judge
from fmnist_tui.engine.glance import Glances
from fmnist_tui.engine.learner import Learner
from fmnist_tui.engine.loader import DeviceSplit
from fmnist_tui.engine.train import Ending, Halt, Trainer
from fmnist_tui.engine.training import Training
from fmnist_tui.errors import UserError, reason
from fmnist_tui.events import (
    FAILED,
    FINISHED,
    STOPPED,
    Alert,
    Changed,
    Event,
    RunEnded,
    RunStarted,
)
from fmnist_tui.runs.files import atomic_write
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader, EventLog

Emit = Callable[[Event], None]
# What a new learner begins with; returns what the record is to say of it.
Begin = Callable[[Learner, Store], tuple[str, ...]]


def load(config: RunConfig, training: Training, data_dir: Path) -> Dataset:
    """The config's data set, its fetching told and cancellable through the training."""
    return load_dataset(
        config.dataset,
        data_dir=data_dir,
        val_fraction=config.val_fraction,
        split_seed=config.split_seed,
        classes=config.classes,
        limit=config.limit,
        input_size=config.input_size,
        colour=config.colour,
        say=training.steps.append,
        cancel=training.cancel_data,
    )


def run(training: Training, runs_dir: Path, data_dir: Path, pulse: Pulse) -> None:
    """Do the whole job. Raises UserError only where no run could be begun."""
    config = training.config
    forked = fork.Fork(training.parent, config) if training.parent else None
    dataset = training.dataset = load(config, training, data_dir)
    machine = choose(config)
    about = About.of(config, dataset)
    if forked is not None:
        forked.check(about)
    begin = forked.begin if forked else _take_up if training.folder else _anew
    folder = training.folder or RunFolder.create(runs_dir, config.recipe, config.dataset)
    made_from = forked.made_from if forked else fork.made_from(folder.config)
    with RunLock.acquire(folder.path):
        log = EventLog(
            folder.events, lambda told: training.events.append(Alert(time.time(), "warning", told))
        )

        def emit(said: Event) -> None:
            log.append(said)
            training.events.append(said)

        def between() -> None:
            pulse()
            machine.settle()

        try:
            training.control.listen(CommandReader(folder.commands).poll)
            _write_config(folder, config, machine, made_from)
            training.begin(folder, emit)
            _recorded(training, dataset, machine, folder, emit, between, begin)
        finally:
            log.close()


def _recorded(
    training: Training,
    dataset: Dataset,
    machine: Machine,
    folder: RunFolder,
    emit: Emit,
    pulse: Pulse,
    begin: Begin,
) -> None:
    began = time.perf_counter()
    learner: Learner | None = None
    out_of_memory = False
    try:
        store = Store(folder.checkpoints)
        store.sweep()
        learner = Learner(About.of(training.config, dataset), dataset, machine)
        notes = begin(learner, store)
        emit(_started(learner, dataset, folder))
        for note in (*dataset.notes, *notes):
            emit(Alert(time.time(), "note", note))
        validation = DeviceSplit(dataset.val, machine.device) if len(dataset.val) else None
        glances = Glances(learner, dataset.val) if len(dataset.val) else None
        trainer = Trainer(learner, validation, store, emit, training.control, pulse, glances)
        ending = trainer.run()
        if ending.reason == FINISHED:
            _final_verdict(training, dataset, machine, store, folder, emit, pulse)
    except Halt as halt:
        ending = halt.ending
    except torch.OutOfMemoryError:
        # Recovery waits until the exception has let go of the tensors it holds.
        out_of_memory = True
        ending = Ending(FAILED, _out_of_memory(training.config))
    except UserError as error:
        ending = Ending(FAILED, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the run's record must say it
        training.error = error
        _keep_traceback(folder, error)
        ending = Ending(FAILED, f"{type(error).__name__}: {reason(error)}")
    if out_of_memory and machine.cuda:
        torch.cuda.empty_cache()
    emit(
        RunEnded(
            t=time.time(),
            step=learner.step if learner else 0,
            epoch=learner.epoch if learner else 0,
            reason=ending.reason,
            seconds=time.perf_counter() - began,
            message=ending.message,
        )
    )


def _anew(learner: Learner, store: Store) -> tuple[str, ...]:
    """Begin with the learner as it is."""
    return ()


def _take_up(learner: Learner, store: Store) -> tuple[str, ...]:
    """Begin where the run's own last checkpoint left it."""
    payload, manifest, notes = store.load("last")
    learner.restore(payload, manifest.file)
    return notes


def _started(learner: Learner, dataset: Dataset, folder: RunFolder) -> RunStarted:
    config, machine = learner.config, learner.machine
    return RunStarted(
        t=time.time(),
        run=folder.path.name,
        recipe=config.recipe,
        dataset=config.dataset,
        model=config.model,
        parameters=learner.parameters,
        device=str(machine.device),
        device_name=machine.name,
        precision=machine.precision,
        seed=config.seed,
        epochs=config.epochs,
        steps_per_epoch=learner.order.steps,
        batch_size=learner.order.batch,
        train_count=len(dataset.train),
        val_count=len(dataset.val),
        test_count=len(dataset.test),
        classes=dataset.facts.classes,
        synthetic=dataset.facts.synthetic,
        step=learner.step,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=fmnist_tui.__version__,
    )


def _final_verdict(
    training: Training,
    dataset: Dataset,
    machine: Machine,
    store: Store,
    folder: RunFolder,
    emit: Emit,
    pulse: Pulse,
) -> None:
    """Judge what validation chose, on validation and then, once, on test."""

    def between() -> None:
        pulse()
        for command in training.control.take():
            if isinstance(command, Stop):
                raise Halt(Ending(STOPPED, command.why))

    kind = "best" if store.manifests("best") else "last"
    try:
        payload, manifest, _ = store.load(kind)
    except CheckpointError as error:
        emit(Alert(time.time(), "warning", f"not evaluated: {error}"))
        return
    classifier = Classifier.load(payload, machine, manifest.file)
    for split in (dataset.val, dataset.test):
        if not len(split):
            continue
        emit(Changed(time.time(), manifest.step, "phase", f"evaluating on {split.name}"))
        verdict = judge(classifier, split, kind, manifest.step, manifest.epoch, between)
        emit(verdict.event())
        try:
            verdict.predictions.save(folder.predictions / f"{split.name}.npz")
        except OSError as error:
            emit(Alert(time.time(), "warning", f"predictions not saved ({reason(error)})"))


def _write_config(
    folder: RunFolder, config: RunConfig, machine: Machine, made_from: dict[str, str | int]
) -> None:
    made_with: dict[str, str | int | float] = {
        "fmnist_tui": fmnist_tui.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": str(machine.device),
        "device_name": machine.name,
        "precision": machine.precision,
        "threads": machine.threads,
        "system": platform.platform(),
        **made_from,
    }
    try:
        atomic_write(
            folder.config, recipes.to_toml(config, made_with).encode("utf-8", "surrogateescape")
        )
    except OSError as error:
        raise UserError(f"the run cannot be recorded in {folder.path}: {reason(error)}") from error


def _out_of_memory(config: RunConfig) -> str:
    return (
        f"the GPU has too little memory for batch_size = {config.batch_size}; "
        f"try batch_size = {max(1, config.batch_size // 2)}"
    )


def _keep_traceback(folder: RunFolder, error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    # Where this cannot be written, the message in RunEnded has to do.
    with contextlib.suppress(OSError):
        atomic_write(folder.path / "traceback.txt", text.encode("utf-8", "replace"))

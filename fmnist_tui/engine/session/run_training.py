"""One training job, from a config to an ended run.

Data and device come first, so that a run folder exists only for a run that could
start. From then on exactly one `RunEnded` is said on every path that Python survives.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import torch

import fmnist_tui
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import load_dataset_for
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.device import TrainingDevice, choose_device
from fmnist_tui.engine.inference.classifier import Classifier, ModelInfo, OnTick
from fmnist_tui.engine.inference.evaluate import evaluate_split
from fmnist_tui.engine.run.run_record import Emit, keep_traceback, write_config
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.training import fork, lr_finder, transfer
from fmnist_tui.engine.training.freezing import FrozenParts
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.live_preview import LivePreview
from fmnist_tui.engine.training.trainer import EndTraining, Trainer, TrainingEnd
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import (
    FAILED,
    FINISHED,
    FROZEN_CHANGED,
    FROZEN_KEPT,
    LRFIND,
    STOPPED,
    TRAIN,
    Alert,
    Changed,
    Event,
    RunEnded,
    RunStarted,
)
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader, EventLog
from fmnist_tui.util.errors import UserError, reason

# What a new learner begins with; returns what the record is to say of it.
Begin = Callable[[Learner, CheckpointStore], tuple[str, ...]]


def load(config: RunConfig, training: Training, data_dir: Path) -> Dataset:
    """The config's data set, its fetching told and cancellable through the training."""
    return load_dataset_for(
        config, data_dir, on_step=training.steps.append, cancel=training.cancel_data
    )


def run(training: Training, runs_dir: Path, data_dir: Path, pulse: OnTick) -> None:
    """Do the whole job. Raises UserError only where no run could be begun."""
    config = training.config
    if training.folder is not None:
        fork.check_is_training(training.folder, "resumed")
    origin: fork.ForkStart | transfer.TransferStart | None = None
    if training.parent is not None:
        origin = fork.ForkStart(training.parent, config)
    elif training.folder is None and config.start is not None:
        origin = transfer.TransferStart(config, runs_dir)
        config = training.config = origin.config
    dataset = training.dataset = load(config, training, data_dir)
    machine = choose_device(config)
    about = ModelInfo.from_dataset(config, dataset)
    if origin is not None:
        origin.check(about)
    if training.rates is not None:
        lr_finder.check_batch_count(len(dataset.train), config.batch_size)
    begin = origin.initialise if origin else _take_up if training.folder else _anew
    place = training.trials or runs_dir
    folder = training.folder or RunFolder.create(place, _title(training), config.dataset)
    made_from = origin.provenance if origin else fork.read_provenance(folder.config)
    with RunLock.acquire(folder.path):
        log = EventLog(
            folder.events, lambda told: training.events.append(Alert(time.time(), "warning", told))
        )

        def emit(said: Event) -> None:
            log.append(said)
            training.events.append(said)

        def between() -> None:
            pulse()
            machine.apply_to_thread()

        try:
            training.control.listen(CommandReader(folder.commands).poll)
            write_config(folder, config, machine, made_from)
            training.begin(folder, emit)
            _recorded(training, dataset, machine, folder, emit, between, begin)
        finally:
            log.close()


def _recorded(
    training: Training,
    dataset: Dataset,
    machine: TrainingDevice,
    folder: RunFolder,
    emit: Emit,
    pulse: OnTick,
    begin: Begin,
) -> None:
    began = time.perf_counter()
    learner: Learner | None = None
    out_of_memory = False
    try:
        store = CheckpointStore(folder.checkpoints)
        store.remove_leftovers()
        learner = Learner(ModelInfo.from_dataset(training.config, dataset), dataset, machine)
        notes = begin(learner, store)
        if learner.frozen is not None:
            notes = (*notes, learner.frozen.record_hash(learner.model.state_dict()))
        emit(_started(learner, dataset, folder, training.rates))
        for note in (*dataset.notes, *notes):
            emit(Alert(time.time(), "note", note))
        if training.rates is not None:
            ending = _search(training, learner, training.rates, emit, pulse)
        else:
            ending = _train(training, learner, dataset, store, folder, emit, pulse)
    except EndTraining as halt:
        ending = halt.end
    except torch.OutOfMemoryError:
        # Recovery waits until the exception has let go of the tensors it holds.
        out_of_memory = True
        ending = TrainingEnd(FAILED, _out_of_memory(training.config))
    except UserError as error:
        ending = TrainingEnd(FAILED, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the run's record must say it
        training.error = error
        keep_traceback(folder, error)
        ending = TrainingEnd(FAILED, f"{type(error).__name__}: {reason(error)}")
    if out_of_memory and machine.is_cuda:
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


def _train(
    training: Training,
    learner: Learner,
    dataset: Dataset,
    store: CheckpointStore,
    folder: RunFolder,
    emit: Emit,
    pulse: OnTick,
) -> TrainingEnd:
    """Train to the end and judge what has been learnt."""
    machine = learner.machine
    validation = DeviceSplit(dataset.val, machine.device) if len(dataset.val) else None
    glances = LivePreview(learner, dataset.val) if len(dataset.val) else None
    trainer = Trainer(learner, validation, store, emit, training.control, pulse, glances)
    ending = trainer.run()
    if ending.reason == FINISHED and learner.frozen is not None:
        ending = _proven(learner, learner.frozen, store, emit) or ending
    if ending.reason == FINISHED:
        _final_verdict(training, dataset, machine, store, folder, emit, pulse)
    if training.trials is not None and store.manifests("best"):
        store.delete("last")
    return ending


def _search(
    training: Training, learner: Learner, rates: RateRange, emit: Emit, pulse: OnTick
) -> TrainingEnd:
    """Search for a learning rate; no split but that for training is looked at."""
    told = lr_finder.PendingCommands(training.control, pulse)
    emit(Changed(time.time(), 0, "phase", lr_finder.PHASE))
    searched = lr_finder.search(learner, rates, emit, told)
    why = next((command.why for command in told.pending if isinstance(command, Stop)), "")
    return TrainingEnd(searched.reason, why or format_search_result(searched))


def _proven(
    learner: Learner, frozen: FrozenParts, store: CheckpointStore, emit: Emit
) -> TrainingEnd | None:
    """Say whether what was frozen has stayed as it was, in the network and in what is about
    to be judged; the run fails where it has not."""
    states = [learner.model.state_dict(), learner.weights_payload()["weights"]]
    with contextlib.suppress(CheckpointError):
        states.append(store.load(_chosen(store))[0]["weights"])
    kept, how = frozen.verify(*states)
    said = f"{FROZEN_KEPT if kept else FROZEN_CHANGED}: {how}"
    emit(Alert(time.time(), "note" if kept else "error", said))
    return None if kept else TrainingEnd(FAILED, said)


def _chosen(store: CheckpointStore) -> str:
    """The checkpoint that a run is judged by: what validation chose, or the last."""
    return "best" if store.manifests("best") else "last"


def _anew(learner: Learner, store: CheckpointStore) -> tuple[str, ...]:
    """Begin with the learner as it is."""
    return ()


def _take_up(learner: Learner, store: CheckpointStore) -> tuple[str, ...]:
    """Begin where the run's own last checkpoint left it."""
    payload, manifest, notes = store.load("last")
    learner.restore(payload, manifest.file)
    if ModelInfo.from_dict(payload.get("about"), manifest.file).config.lr != learner.config.lr:
        # A rate that was asked for now holds, whatever the one before was turned to.
        learner.lr_factor = 1.0
    return notes


def _title(training: Training) -> str:
    """What the run's folder is named after."""
    recipe = training.config.recipe
    return recipe if training.rates is None else f"{recipe}-{LRFIND}"


def _started(
    learner: Learner, dataset: Dataset, folder: RunFolder, rates: RateRange | None
) -> RunStarted:
    config, machine = learner.config, learner.machine
    return RunStarted(
        t=time.time(),
        run=folder.path.name,
        recipe=config.recipe,
        dataset=config.dataset,
        model=config.model,
        parameters=learner.parameter_count,
        device=str(machine.device),
        device_name=machine.name,
        precision=machine.precision,
        seed=config.seed,
        epochs=config.epochs if rates is None else 1,
        steps_per_epoch=learner.order.steps_per_epoch if rates is None else rates.steps,
        batch_size=learner.order.batch_size,
        train_count=len(dataset.train),
        val_count=len(dataset.val),
        test_count=len(dataset.test),
        classes=dataset.info.classes,
        synthetic=dataset.info.synthetic,
        step=learner.step,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=fmnist_tui.__version__,
        kind=TRAIN if rates is None else LRFIND,
    )


def _final_verdict(
    training: Training,
    dataset: Dataset,
    machine: TrainingDevice,
    store: CheckpointStore,
    folder: RunFolder,
    emit: Emit,
    pulse: OnTick,
) -> None:
    """Judge what validation chose, on validation and then, once, on test."""

    def between() -> None:
        pulse()
        for command in training.control.take():
            if isinstance(command, Stop):
                raise EndTraining(TrainingEnd(STOPPED, command.why))

    kind = _chosen(store)
    try:
        payload, manifest, _ = store.load(kind)
    except CheckpointError as error:
        emit(Alert(time.time(), "warning", f"not evaluated: {error}"))
        return
    classifier = Classifier.load(payload, machine, manifest.file)
    for split in (dataset.val, dataset.test):
        if not len(split) or (split is dataset.test and training.trials is not None):
            continue
        emit(Changed(time.time(), manifest.step, "phase", f"evaluating on {split.name}"))
        verdict = evaluate_split(classifier, split, kind, manifest.step, manifest.epoch, between)
        emit(verdict.to_event())
        try:
            verdict.predictions.save(folder.predictions / f"{split.name}.npz")
        except OSError as error:
            emit(Alert(time.time(), "warning", f"predictions not saved ({reason(error)})"))


def _out_of_memory(config: RunConfig) -> str:
    return (
        f"the GPU has too little memory for batch_size = {config.batch_size}; "
        f"try batch_size = {max(1, config.batch_size // 2)}"
    )

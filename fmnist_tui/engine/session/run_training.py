"""One training, from its config to an ended run.

The dataset is loaded and the device chosen first, so that a run folder exists only for a run
that could start. From then on exactly one `RunEnded` is emitted on every path that Python
survives.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fmnist_tui.config import plugins
from fmnist_tui.config.run_config import find_doubts
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import load_dataset_for
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore
from fmnist_tui.engine.checkpoints.weights_source import load_from_run
from fmnist_tui.engine.compute.uploads import UPLOADS
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.distributed.channel import Channel
from fmnist_tui.engine.distributed.own_device import choose_own_device
from fmnist_tui.engine.distributed.parts import own_part, share_state
from fmnist_tui.engine.distributed.place import Place, check_batch_size
from fmnist_tui.engine.distributed.processes import Processes, joined
from fmnist_tui.engine.inference.classifier import Classifier, ModelInfo, OnTick
from fmnist_tui.engine.run import failures
from fmnist_tui.engine.run.notifier import Emit, notifying
from fmnist_tui.engine.run.run_clock import RunClock
from fmnist_tui.engine.run.run_end import RunEnd, emit_run_ended
from fmnist_tui.engine.run.run_record import evaluate_and_record, write_config
from fmnist_tui.engine.run.run_started import build_run_started
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.training import fork, lr_finder, resume, transfer
from fmnist_tui.engine.training.freezing import FrozenParts
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.live_preview import LivePreview
from fmnist_tui.engine.training.thread_control import RecordedThreads
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.engine.training.training_end import EndTraining, TrainingEnd
from fmnist_tui.protocol.commands import CancelSearch, Detach, Stop, format_ignored
from fmnist_tui.protocol.events import (
    DETACHED,
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
    RunStarted,
)
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader, EventLog
from fmnist_tui.util.errors import UserError

# An epoch may leave out this share of its images without a note.
FEW_IMAGES = 0.01

# Gives a new learner its first state; returns notes for the record.
Initialise = Callable[[Learner, CheckpointStore], tuple[str, ...]]


def run_training(
    training: Training,
    runs_dir: Path,
    data_dir: Path,
    on_tick: OnTick,
    channel: Channel | None = None,
) -> None:
    """Run a training to its end; raises only what prevents a run from starting.

    Other processes take part in it through `channel`, if there are any."""
    config, place = training.config, channel.place if channel is not None else Place()
    if place.is_several:
        config = training.config = config.changed(devices=place.count)
    elif config.devices > 1:
        raise UserError(
            f"devices = {config.devices}: this trains on one device; `fmnist-tui train`, or Train"
            " in the dashboard, starts a process for each"
        )
    before, changed, recorded_threads = RunState(), "", RecordedThreads()
    begins = training.folder is None
    if training.folder is not None:
        fork.check_is_training(training.folder, "resumed")
        # A live run is in use, whatever it has saved by now.
        with RunLock.acquire(training.folder.path):
            for event in EventReader(training.folder.events).read_all():
                before.apply(event)
                recorded_threads.add(event)
            resume.check_epochs(training.folder, config, before)
            changed = resume.describe_changes(training.folder, config, before)
            begins = resume.begins_again(training.folder, before)
    plugins.load_plugin("models", config.model)
    plugins.load_plugin("optim", config.optimizer)
    origin: fork.ForkStart | transfer.TransferStart | None = None
    if training.parent is not None:
        origin = fork.ForkStart(training.parent, config)
    elif begins and config.start is not None:
        origin = transfer.TransferStart(config, runs_dir)
        config = training.config = origin.config
    dataset = training.dataset = load_dataset_for(
        config, data_dir, on_step=training.load_steps.append, cancel=training.cancel_loading
    )
    device = choose_own_device(config, place)
    check_batch_size(min(config.batch_size, len(dataset.train)), place.count)
    if origin is not None:
        origin.check(ModelInfo.from_dataset(config, dataset))
    if training.rate_range is not None:
        lr_finder.check_batch_count(len(dataset.train), config.batch_size)
    folder = training.folder or RunFolder.create(
        training.trials_dir or runs_dir,
        config.recipe if training.rate_range is None else f"{config.recipe}-{LRFIND}",
        config.dataset,
    )
    provenance = origin.provenance if origin else fork.read_provenance(folder.config)
    initialise: Initialise | None = origin.initialise if origin else None
    with contextlib.ExitStack() as stack:
        if training.folder is None:
            stack.enter_context(folder.deleted_on_error())
        lock = stack.enter_context(RunLock.acquire(folder.path))
        if not begins:
            info = ModelInfo.from_dataset(config, dataset)
            store = CheckpointStore(folder.checkpoints)
            initialise = resume.ResumeStart(store, info, before).initialise
        # Not the training: it keeps `emit`, and a cycle would keep the images with both.
        events = training.events
        log = EventLog(folder.events, events.append)

        def emit(event: Event) -> None:
            log.append(event)
            events.append(event)

        def tick() -> None:
            on_tick()
            lock.require_folder(now=False)
            device.apply_to_thread()

        try:
            training.inbox.set_source(CommandReader(folder.commands).poll)
            write_config(folder, config, device, {**provenance, **place.provenance})
            warm = before.warm_seconds if before.sessions else 0.0
            training.set_record(folder, emit, RunClock(before.seconds, warm))
            is_told = not training.trials_dir and training.rate_range is None
            told = stack.enter_context(notifying(folder, emit)) if is_told else emit
            run = _TrainingRun(
                training,
                dataset,
                device,
                folder,
                before,
                changed,
                recorded_threads,
                told,
                tick,
                lock.require_folder,
                channel,
            )
            run.run(initialise)
        finally:
            if loss := log.close():
                training.error = training.error or UserError(loss)


class _TrainingRun:
    """A training whose record is open.

    `before` is the run as its earlier sessions left it, `changed` what its settings have become
    since, in words."""

    def __init__(
        self,
        training: Training,
        dataset: Dataset,
        device: TrainingDevice,
        folder: RunFolder,
        before: RunState,
        changed: str,
        recorded_threads: RecordedThreads,
        emit: Emit,
        on_tick: OnTick,
        require_folder: Callable[[], None],
        channel: Channel | None,
    ) -> None:
        self._training, self._dataset, self._device = training, dataset, device
        self._require_folder, self._channel = require_folder, channel
        self._folder, self._emit, self._on_tick = folder, emit, on_tick
        self._before, self._changed = before, changed
        self._readings = before.record.readings
        self._store = CheckpointStore(folder.checkpoints)
        self._recorded_threads = recorded_threads

    def run(self, initialise: Initialise | None) -> None:
        try:
            with (
                emit_run_ended(self._folder, self._emit, self._training.clock) as end,
                self._device.training_numerics(self._warn),
            ):
                self._announce()
                with joined(self._channel, self._device.torch_device) as processes:
                    self._run(initialise, end, processes)
        except UserError:
            pass  # it is in the record
        except Exception as error:  # noqa: BLE001 - for --debug
            self._training.error = error

    def _announce(self) -> None:
        """Have the other processes take part."""
        if self._channel is not None:
            self._channel.announce(self._training.config, self._device)

    def _run(self, initialise: Initialise | None, run_end: RunEnd, processes: Processes) -> None:
        training, learner, failure = self._training, None, None
        try:
            self._store.remove_leftovers()
            self._folder.remove_temporaries()
            info = ModelInfo.from_dataset(training.config, self._dataset)
            learner = Learner(info, self._dataset, self._device, processes)
            notes = initialise(learner, self._store) if initialise else ()
            share_state(learner)
            if self._before.sessions and not learner.step:
                notes = (resume.BEGINS_AGAIN, *notes)
            if self._changed:
                notes = (f"resumed with {self._changed}", *notes)
            if learner.frozen is not None:
                notes = (*notes, learner.frozen.record_hash(learner.model.state_dict()))
            self._emit(self._run_started(learner))
            if not learner.step:
                for doubt in find_doubts(training.config):
                    self._alert("warning", doubt)
            for note in (*self._device.notes, *self._dataset.notes, learner.train.note, *notes):
                if note:
                    self._alert("note", note)
            rates = training.rate_range
            end = self._search_lr(learner, rates) if rates else self._train(learner)
        except EndTraining as error:
            end = error.end
        except (MemoryError, RuntimeError) as error:
            if failed := processes.explain(error):
                raise failed from error
            if (failure := failures.explain(error)) is None:
                raise
            failures.take(error)
            end = self._end_of_failure(failure, learner)
        finally:
            if learner is not None:
                run_end.step, run_end.epoch = learner.step, learner.epoch
                learner.close()
        # The memory is released only after the exception is, with the tensors it holds.
        if isinstance(failure, failures.OutOfMemory):
            UPLOADS.release()
            self._device.release_unused_memory()
        run_end.reason, run_end.message = end.reason, end.message
        if end.again and not training.trials_dir and training.rate_range is None:
            command = f"`fmnist-tui train {end.again.format(self._folder.id)}`"
            if saved := self._store.manifests("last"):
                run_end.message += f"; {command} goes on from step {saved[0].step:,}"
            elif isinstance(failure, failures.GpuFailed) and resume.can_begin_again(self._folder):
                run_end.message += f"; {command} begins again"

    def _end_of_failure(self, failure: failures.Failure, learner: Learner | None) -> TrainingEnd:
        """How the run ends for want of memory or of a GPU, and with what it can go on."""
        if not isinstance(failure, failures.OutOfMemory):
            return TrainingEnd(FAILED, str(failure), "--resume {}")
        config = self._training.config
        size, smaller = config.batch_size, max(1, config.batch_size // 2)
        why = f"{failure.where} has too little memory for batch_size = {size}"
        is_trained = learner is not None and learner.epoch >= config.epochs
        again = "--resume {}" if is_trained else f"--fork {{}} --batch-size {smaller}"
        return TrainingEnd(FAILED, f"{why}; try batch_size = {smaller}", again)

    def _run_started(self, learner: Learner) -> RunStarted:
        rate_range, config = self._training.rate_range, learner.config
        kind = TRAIN if rate_range is None else LRFIND
        return replace(
            build_run_started(self._folder, config, kind, self._dataset, self._device),
            parameters=learner.parameter_count,
            processes=learner.processes.place.count,
            epochs=1 if rate_range else config.epochs,
            steps_per_epoch=rate_range.steps if rate_range else learner.order.steps_per_epoch,
            batch_size=learner.order.batch_size,
            step=learner.step,
            run_seconds=self._training.clock.run_seconds,
            train_seconds=learner.seconds,
            warm_seconds=self._training.clock.warm_seconds,
            best_step=learner.best.step,
            changed_settings=self._changed,
        )

    def _train(self, learner: Learner) -> TrainingEnd:
        """Train to the end and evaluate the result."""
        val, store, order = self._dataset.val, self._store, learner.order
        count = learner.train.count
        if order.left_out > FEW_IMAGES * count:
            used = f"{count - order.left_out:,} of {count:,} images"
            size = f"batches of {order.batch_size:,}"
            note = f"each epoch trains on {used}, drawn anew: {size}"
            if not any(alert.message == note for alert in self._before.alerts):
                self._alert("note", note)
        if learner.config.augment_once and not learner.images.are_augmented:
            why = "the images do not fit on the device"
            self._alert("note", f"augment_once: {why}, so each batch is augmented by itself")
        trainer = Trainer(
            learner,
            own_part(learner, val),
            store,
            self._emit,
            self._training.inbox,
            self._on_tick,
            LivePreview(learner, val) if len(val) else None,
            self._recorded_threads,
            self._training.clock,
        )
        end = trainer.run()
        learner.processes.leave()
        self._require_folder()
        if end.reason == FINISHED and learner.frozen is not None:
            end = self._verify_frozen(learner, learner.frozen) or end
        if end.reason == FINISHED:
            end = self._evaluate() or end
        if self._training.trials_dir is not None and store.manifests("best"):
            store.delete("last")
        return end

    def _search_lr(self, learner: Learner, rate_range: RateRange) -> TrainingEnd:
        """Search for a learning rate; only the training split is read."""
        commands = lr_finder.PendingCommands(self._training.inbox, self._on_tick)
        self._emit(Changed(time.time(), 0, "phase", lr_finder.PHASE))
        result = lr_finder.search(learner, rate_range, self._emit, commands)
        why = next((command.why for command in commands.pending if isinstance(command, Stop)), "")
        return TrainingEnd(result.reason, why or format_search_result(result))

    def _verify_frozen(self, learner: Learner, frozen: FrozenParts) -> TrainingEnd | None:
        """Check that frozen weights are unchanged, in the network and in the checkpoint that is
        about to be evaluated; the run fails if they are not."""
        states = [learner.model.state_dict(), learner.weights_payload()["weights"]]
        with contextlib.suppress(CheckpointError):
            states.append(self._store.load(self._store.own)[0]["weights"])
        is_unchanged, details = frozen.verify(*states)
        message = f"{FROZEN_KEPT if is_unchanged else FROZEN_CHANGED}: {details}"
        self._alert("note" if is_unchanged else "error", message)
        return None if is_unchanged else TrainingEnd(FAILED, message)

    def _evaluate(self) -> TrainingEnd | None:
        """Evaluate the run's own checkpoint, on validation and then, once, on test; the run
        fails if it cannot be read."""

        def tick() -> None:
            self._on_tick()
            for command in self._training.inbox.receive():
                match command:
                    case Stop(why=why):
                        raise EndTraining(STOPPED, why)
                    case Detach():
                        # A run that is resumed from its last step is only evaluated.
                        raise EndTraining(DETACHED)
                    case CancelSearch():
                        pass  # the search has already ended
                    case _:
                        self._alert("warning", format_ignored(command, "the training is over"))

        try:
            loaded = load_from_run(self._folder)
        except CheckpointError as error:
            return TrainingEnd(FAILED, f"not evaluated: {error}")
        for note in loaded.notes:
            self._alert("warning", note)
        classifier = Classifier.load(loaded.payload, self._device, loaded.source)
        splits = [self._dataset.val]
        if self._training.trials_dir is None and self._training.config.test:
            splits.append(self._dataset.test)
        elif self._training.trials_dir is None:
            self._alert("note", "the test split is not read: test is off")
        for split in splits:
            if not len(split):
                continue
            if split is self._dataset.test and (earlier := self._readings.get(split.name)):
                self._alert("note", f"the test split is read again: reading {earlier + 1}")
            evaluate_and_record(classifier, split, loaded.identity, self._folder, self._emit, tick)
        for command in self._training.inbox.receive():
            # A run that has been evaluated has finished, whatever was asked meanwhile.
            self._alert("note", format_ignored(command, "the run has finished"))
        return None

    def _warn(self, message: str) -> None:
        self._alert("warning", message)

    def _alert(self, level: str, message: str) -> None:
        self._emit(Alert(time.time(), level, message))

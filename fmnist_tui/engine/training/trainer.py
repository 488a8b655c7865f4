"""The training loop: a `Trainer` takes a learner from where it stands to the end of its run.

It says what happens as events, does between steps what commands tell it, saves the
learner's state, and never waits for a screen or a full disk.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointManifest, CheckpointStore
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.inference.classifier import OnTick, no_op
from fmnist_tui.engine.run.inbox import Inbox
from fmnist_tui.engine.run.run_record import saved
from fmnist_tui.engine.training import lr_finder
from fmnist_tui.engine.training.compiling import compile_network
from fmnist_tui.engine.training.learner import BestEpoch, Learner, RunningTotals
from fmnist_tui.engine.training.live_preview import LivePreview
from fmnist_tui.engine.training.step import TrainingStep
from fmnist_tui.engine.training.telemetry import TelemetryReader
from fmnist_tui.protocol.commands import (
    CancelSearch,
    Command,
    Detach,
    FindLearningRate,
    Pause,
    Resume,
    SaveCheckpoint,
    ScaleLearningRate,
    SetLearningRate,
    Stop,
)
from fmnist_tui.protocol.events import (
    DETACHED,
    FAILED,
    FINISHED,
    STOPPED,
    Alert,
    Changed,
    EpochEnded,
    Event,
    LrSearched,
    Progress,
)
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.util.errors import UserError, reason

PROGRESS_SECONDS = 0.1
TELEMETRY_SECONDS = 1.0
PAUSE_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class TrainingEnd:
    """How training ended: a reason of `RunEnded`, and a message where one is due."""

    reason: str
    message: str = ""


class EndTraining(Exception):  # noqa: N818 - not an error: the way out of the loop
    """Training is to end now."""

    def __init__(self, ending: TrainingEnd) -> None:
        self.end = ending


class Trainer:
    """Runs one learner. Used by one thread, the session's."""

    def __init__(
        self,
        learner: Learner,
        validation: DeviceSplit | None,
        store: CheckpointStore,
        emit: Callable[[Event], None],
        control: Inbox,
        pulse: OnTick = no_op,
        glances: LivePreview | None = None,
    ) -> None:
        self.learner, self.config = learner, learner.config
        self._validation, self._glances, self._store = validation, glances, store
        self._emit, self._control, self._pulse = emit, control, pulse
        self._told = lr_finder.PendingCommands(control, lambda: self._pulse())
        self._gauges = TelemetryReader(learner.machine)
        self._window = RunningTotals()
        self._paused = False
        self._save_wanted = False
        self._disk_full = False
        self._tick = self._reported = self._gauged = self._saved = time.perf_counter()

    def run(self) -> TrainingEnd:
        """Train to the end, or until told otherwise; whatever is worth keeping is saved."""
        try:
            self._phase("warming up")
            self._learn = self._first_step()
            self._look_again()
            self._tick = self._reported = self._gauged = self._saved = time.perf_counter()
            while self.learner.epoch < self.config.epochs:
                self._one_epoch()
            ending = TrainingEnd(FINISHED)
        except EndTraining as halt:
            ending = halt.end
        if ending.reason == FAILED:
            return ending
        try:
            self._save("last")
        except EndTraining as halt:
            return halt.end
        return ending

    def _first_step(self) -> TrainingStep:
        learner = self.learner
        if not self.config.compile:
            return learner.make_step()
        self._phase("compiling")
        batch = learner.order.batch_size
        network = compile_network(learner.model, learner.info, batch, learner.machine, self._warn)
        return learner.make_step(network)

    def _one_epoch(self) -> None:
        learner, learn = self.learner, self._learn
        rows = learner.order.epoch_indices(learner.epoch)
        self._phase("training")
        while learner.epoch_step < learner.order.steps_per_epoch:
            self._attend()
            learner.apply_lr()
            learn(rows[learner.epoch_step])
            learner.step += 1
            learner.epoch_step += 1
            self._window.images += learner.order.batch_size
            now = time.perf_counter()
            if now - self._reported >= PROGRESS_SECONDS:
                self._progress()
                self._look_again()
            if now - self._gauged >= TELEMETRY_SECONDS:
                self._gauged = now
                self._emit(self._gauges.read())
            if self._save_wanted or now - self._saved >= self.config.checkpoint_seconds:
                self._save("last")
        self._end_epoch()

    def _end_epoch(self) -> None:
        self._progress()
        learner, tally, lr = self.learner, self.learner.tally, self.learner.lr
        validated = self._validate()
        learner.epoch += 1
        learner.epoch_step = 0
        learner.tally = RunningTotals()
        better = validated is not None and learner.best.is_beaten_by(*validated)
        if validated is not None and better:
            learner.best = BestEpoch(*validated, learner.step, learner.epoch)
            learner.stale_epochs = 0
            self._save("best")
        elif validated is not None:
            learner.stale_epochs += 1
        images = max(1, tally.images)
        self._emit(
            EpochEnded(
                t=time.time(),
                step=learner.step,
                epoch=learner.epoch,
                train_loss=tally.loss / images,
                train_accuracy=None if self._mixed else tally.hits / images,
                val_loss=validated[1] if validated else None,
                val_accuracy=validated[0] if validated else None,
                val_count=self._validation.count if self._validation else 0,
                lr=lr,
                seconds=tally.seconds,
                images_per_second=tally.images / max(tally.seconds, 1e-9),
                best=better,
            )
        )
        self._lap()
        if self.config.patience and learner.stale_epochs >= self.config.patience:
            stale = learner.stale_epochs
            raise EndTraining(
                TrainingEnd(FINISHED, f"stopped early: no better validation in {stale} epochs")
            )

    def _validate(self) -> tuple[float, float] | None:
        """Accuracy and loss on the validation split, if there is one."""
        if self._validation is None:
            return None
        self._phase("validating")
        answers = self.learner.predict_logits(self._validation, self._pulse)
        if self._glances is not None:
            self._emit(self._glances.from_validation(answers))
        labels = self._validation.labels.cpu().numpy()
        own = softmax(answers)[np.arange(len(labels)), labels]
        loss = float(-np.log(np.clip(own, 1e-12, None)).mean())
        return float((answers.argmax(1) == labels).mean()), loss

    # -- what it says ------------------------------------------------------------

    @property
    def _mixed(self) -> bool:
        return bool(self.config.mixup or self.config.cutmix)

    def _phase(self, phase: str) -> None:
        self._emit(Changed(time.time(), self.learner.step, "phase", phase))

    def _warn(self, message: str) -> None:
        self._emit(Alert(time.time(), "warning", message))

    def _lap(self) -> float:
        """Seconds since the last lap. Laps that nobody reads (pauses, validation, saving)
        count as no training time."""
        now = time.perf_counter()
        passed, self._tick = now - self._tick, now
        return passed

    def _progress(self) -> None:
        """Read what the steps since the last time came to, and say it."""
        learner, images = self.learner, self._window.images
        if not images:
            return
        loss, hits = self._learn.read_totals()
        passed = self._lap()
        waited, learner.train.fetch_seconds = learner.train.fetch_seconds, 0.0
        self._reported = time.perf_counter()
        self._window = RunningTotals()
        if not math.isfinite(loss):
            raise EndTraining(TrainingEnd(FAILED, self._not_a_number()))
        learner.seconds += passed
        tally = learner.tally
        tally.images += images
        tally.loss += loss
        tally.hits += hits
        tally.seconds += passed
        steps = images / learner.order.batch_size
        self._emit(
            Progress(
                t=time.time(),
                step=learner.step,
                epoch=learner.epoch + 1,
                epoch_step=learner.epoch_step,
                images=tally.images,
                loss=loss / images,
                accuracy=None if self._mixed else hits / images,
                lr=learner.lr,
                images_per_second=images / max(passed, 1e-9),
                step_ms=passed / steps * 1000,
                wait_ms=waited / steps * 1000,
            )
        )

    def _look_again(self) -> None:
        """Say what the model now thinks of a few images, if that is due. To be called when
        the time so far is accounted for: that of looking counts as no training time."""
        if self._glances is not None and self._glances.is_due():
            self._emit(self._glances.preview())
            self._lap()

    def _not_a_number(self) -> str:
        learner = self.learner
        best = f"best checkpoint: step {learner.best.step:,}" if learner.best.step else "none saved"
        return (
            f"the loss stopped being a number near step {learner.step:,} ({best}); "
            f"try a lower lr (it was {learner.lr:.3g}) or clip_norm = 1"
        )

    # -- what it is told ---------------------------------------------------------

    def _attend(self) -> None:
        """Between two steps: small jobs, commands, and holding still while paused."""
        self._look()
        if self._paused:
            self._hold()

    def _look(self) -> None:
        self._told.poll()
        while self._told.pending:
            self._obey(self._told.pending.popleft())

    def _hold(self) -> None:
        self._progress()
        self._emit(Changed(time.time(), self.learner.step, "paused", "true"))
        while self._paused:
            if self._save_wanted:
                self._save("last")
            self._control.wait(PAUSE_LOOK_SECONDS)
            self._look()
        self._emit(Changed(time.time(), self.learner.step, "paused", "false"))
        self._lap()

    def _obey(self, command: Command) -> None:
        match command:
            case Stop(why=why):
                raise EndTraining(TrainingEnd(STOPPED, why))
            case Detach():
                raise EndTraining(TrainingEnd(DETACHED))
            case Pause():
                self._paused = True
            case Resume():
                self._paused = False
            case SaveCheckpoint():
                self._save_wanted = True
            case SetLearningRate(lr=lr) if math.isfinite(lr) and lr > 0:
                self._change_lr(lr)
            case ScaleLearningRate(factor=factor) if math.isfinite(factor) and factor > 0:
                self._change_lr(self.learner.lr * factor)
            case FindLearningRate(low=low, high=high, steps=steps):
                self._find_lr(low, high, steps)
            case CancelSearch():
                pass  # it came when the search was over
            case _:
                self._warn(f"ignored: {command}")

    def _change_lr(self, lr: float) -> None:
        self.learner.set_lr(lr)
        self._emit(Changed(time.time(), self.learner.step, "lr", f"{lr:.6g}"))

    def _find_lr(self, low: float, high: float, steps: int) -> None:
        """Search for a learning rate, then go on as if nothing had been."""
        try:
            rates = RateRange(low, high, steps)
            lr_finder.check_batch_count(self.learner.train.count, self.config.batch_size)
        except UserError as error:
            step = self.learner.step
            self._emit(LrSearched(time.time(), step, FAILED, message=str(error)))
            return
        self._progress()
        self._phase(lr_finder.PHASE)
        lr_finder.search(self.learner, rates, self._emit, self._told, self._learn)
        self._phase("training")
        self._lap()

    # -- what it keeps -----------------------------------------------------------

    def _save(self, kind: str) -> None:
        """Save `last` (and `step-N` if one is wanted) or `best`. A disk that takes nothing
        more is said once; training goes on and the checkpoints before stay."""
        self._progress()
        learner = self.learner
        try:
            payload = learner.weights_payload() if kind == "best" else learner.full_payload()
            self._written(self._store.save(kind, payload, learner.step, learner.epoch))
            if self._save_wanted and kind == "last":
                self._written(self._store.save("step", payload, learner.step, learner.epoch))
        except OSError as error:
            if not self._disk_full:
                why = reason(error)
                self._warn(f"checkpoint not saved ({why}); training goes on, older ones stay")
            self._disk_full = True
        else:
            if self._disk_full:
                self._emit(Alert(time.time(), "note", "checkpoints are saved again"))
            self._disk_full = False
        if kind == "last":
            self._save_wanted = False
            self._saved = time.perf_counter()
        self._lap()

    def _written(self, manifest: CheckpointManifest) -> None:
        self._emit(saved(manifest))

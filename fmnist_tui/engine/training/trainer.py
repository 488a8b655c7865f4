"""The training loop: a `Trainer` takes a learner from its current step to the end of its run.

It reports events, executes commands between steps and saves the learner's state; it never waits
for a screen or a full disk.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable

from fmnist_tui.analysis.metrics import accuracy_and_loss
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.inference.classifier import OnTick, no_op
from fmnist_tui.engine.inference.evaluate import tick_with_progress
from fmnist_tui.engine.run.phase import Phase
from fmnist_tui.engine.run.run_clock import RunClock
from fmnist_tui.engine.run.training_handle import Inbox
from fmnist_tui.engine.training import lr_finder
from fmnist_tui.engine.training.learner import BestEpoch, EpochTotals, Learner
from fmnist_tui.engine.training.live_preview import LivePreview
from fmnist_tui.engine.training.progress import MeanOfSteps
from fmnist_tui.engine.training.saving import CheckpointSaver, NoSaver
from fmnist_tui.engine.training.telemetry import TelemetryReader
from fmnist_tui.engine.training.thread_control import RecordedThreads, ThreadControl
from fmnist_tui.engine.training.training_end import EndTraining, TrainingEnd
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
    format_ignored,
)
from fmnist_tui.protocol.events import (
    DETACHED,
    FAILED,
    FINISHED,
    LOSS_NOT_FINITE,
    STOPPED,
    WEIGHTS_NOT_FINITE,
    Alert,
    Changed,
    EpochEnded,
    Event,
    LrSearched,
)
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.util.errors import UserError

VALIDATING = "validating"
PROGRESS_SECONDS = 0.1
PAUSE_POLL_SECONDS = 0.05


class _EvaluationLeft(Exception):  # noqa: N818
    """Raised to leave an evaluation of the network for a command that needs it as trained."""


class Trainer:
    """Trains one learner. Used only by the session's thread. One without a store saves nothing:
    of several processes the first does so."""

    def __init__(
        self,
        learner: Learner,
        validation: DeviceSplit | None,
        store: CheckpointStore | None,
        emit: Callable[[Event], None],
        inbox: Inbox,
        on_tick: OnTick = no_op,
        preview: LivePreview | None = None,
        recorded_threads: RecordedThreads | None = None,
        clock: RunClock | None = None,
    ) -> None:
        self.learner, self.config = learner, learner.config
        self._clock = clock or RunClock()
        self.preview = preview
        self._validation, self._emit, self._inbox = validation, emit, inbox
        self.commands = lr_finder.PendingCommands(inbox, on_tick, learner.processes)
        self._telemetry = TelemetryReader(learner.device, emit)
        self._threads = ThreadControl(learner.device, emit, recorded_threads)
        self._images_since_progress = self._validated_images = 0
        self._mixes_labels = self.config.mixes_labels
        self._is_paused = False
        self._save_requested = False
        self._saver = CheckpointSaver(learner, store, emit) if store else NoSaver(learner)
        self._start_clocks()

    def run(self) -> TrainingEnd:
        """Train to the end or until a command ends it, and save the last state; a training
        whose last state is not on disk has failed."""
        with contextlib.ExitStack() as stack:
            try:
                end = self._train(stack)
                if end.reason != FAILED:
                    try:
                        self._save_if_due(and_last=True)
                    except EndTraining as signal:
                        end = signal.end
            finally:
                self._saver.close()
            self._clock.stop_warm()
        if end.reason != FAILED and self._saver.is_last_lost:
            end = TrainingEnd(FAILED, self._saver.explain_unsaved(), "--resume {}")
        return end

    def _train(self, stack: contextlib.ExitStack) -> TrainingEnd:
        try:
            self._report_change("phase", "warming up")
            network = None
            if self.config.compile:
                self._report_change("phase", "compiling")
                network = self.learner.compile(self._warn)
            self._step = self.learner.make_step(network, self._emit)
            stack.callback(self._step.close)
            self._preview_if_due()
            self._start_clocks()
            self._clock.start_warm()
            # Patience may have ended the run before it was detached or stopped in its evaluation.
            self._check_patience()
            while self.learner.epoch < self.config.epochs:
                self._run_epoch()
        except EndTraining as signal:
            return signal.end
        return TrainingEnd(FINISHED)

    def _start_clocks(self) -> None:
        now = time.perf_counter()
        self._timer = self._progress_time = self._save_time = now

    def _run_epoch(self) -> None:
        learner, step, processes = self.learner, self._step, self.learner.processes
        batches = learner.begin_epoch(self.commands.on_tick)
        self._report_change("phase", "training")
        while learner.epoch_step < learner.order.steps_per_epoch:
            meets = processes.meets(learner.step)
            if meets:
                self._execute_commands()
            if self._is_paused:
                self._wait_while_paused()
            self._threads.before_step(learner.step)
            self._images_since_progress += learner.take_steps(step, batches)
            if seconds := step.take_capture_seconds():
                # It comes before the training, as the start and the compilation do.
                self._timer += seconds
                self._clock.leave_out(seconds)
            if not meets:
                continue
            now = time.perf_counter()
            (is_progress_due,) = processes.agree([now - self._progress_time >= PROGRESS_SECONDS])
            if is_progress_due:
                self._report_progress()
                self._preview_if_due()
                self._telemetry.report_if_due()
            self._save_if_due()
        self._end_epoch()

    def _end_epoch(self) -> None:
        self._report_progress()
        self._check_weights()
        learner, totals, lr = self.learner, self.learner.totals, self.learner.lr
        validated = self._validate()
        learner.epoch += 1
        learner.epoch_step = 0
        learner.totals = EpochTotals()
        best = None
        if validated is not None:
            learner.stale_epochs += 1
            (is_better,) = learner.processes.agree([learner.best.is_beaten_by(*validated)])
            if is_better:
                best, learner.stale_epochs = BestEpoch(*validated, learner.step, learner.epoch), 0
        # A run that is killed before its first regular save goes on from its first epoch.
        is_first = not self._saver.has_last and learner.epoch < self.config.epochs
        self._save_if_due(best, and_last=is_first)
        images = max(1, totals.images)
        self._emit(
            EpochEnded(
                t=time.time(),
                step=learner.step,
                epoch=learner.epoch,
                train_loss=totals.loss / images,
                train_accuracy=None if self._mixes_labels else totals.correct / images,
                val_loss=validated[1] if validated else None,
                val_accuracy=validated[0] if validated else None,
                val_count=self._validated_images,
                lr=lr,
                seconds=totals.seconds,
                images_per_second=totals.images / max(totals.seconds, 1e-9),
                best=best is not None,
                warm_seconds=self._clock.warm_seconds,
            )
        )
        self._reset_timer()
        self._check_patience()

    def _check_patience(self) -> None:
        stale = self.learner.stale_epochs
        if self.config.patience and stale >= self.config.patience:
            raise EndTraining(FINISHED, f"stopped early: no better validation in {stale} epochs")

    def _validate(self) -> tuple[float, float] | None:
        """Accuracy and loss on the validation split, if there is one."""
        if self._validation is None:
            return None
        size = self.learner.evaluation_batch_size
        while True:
            phase, count = Phase(self._emit, self.learner.step, VALIDATING), self._validation.count
            on_view = self._tick_in_evaluation
            tick = tick_with_progress(no_op, phase.on_progress, VALIDATING, count, 0, count, size)
            try:
                logits = self.learner.predict_logits(self._validation, tick, on_view)
                # The best to beat is one that is on disk.
                while self._saver.is_busy:
                    self._saver.wait(PAUSE_POLL_SECONDS)
                    self._tick_in_evaluation()
                break
            except _EvaluationLeft:
                self._execute_commands()
                if self._is_paused:
                    self._wait_while_paused()
        processes = self.learner.processes
        logits = processes.join_rows(logits)
        labels = processes.join_rows(self._validation.labels.cpu().numpy())
        self._validated_images = len(labels)
        if self.preview is not None:
            self._emit(self.preview.from_validation(logits))
        return accuracy_and_loss(logits, labels)

    # -- reporting ---------------------------------------------------------------

    def _report_change(self, what: str, value: str, before: str = "") -> None:
        self._emit(Changed(time.time(), self.learner.step, what, value, before))

    def _warn(self, message: str) -> None:
        self._emit(Alert(time.time(), "warning", message))

    def _reset_timer(self) -> float:
        """Restart the timer and return its seconds. Where the result is not used (after pauses,
        validation, saving), the time does not count as training time."""
        now = time.perf_counter()
        elapsed, self._timer = now - self._timer, now
        return elapsed

    def _report_progress(self) -> None:
        """Read the totals of the steps since the last call from the device, and report them."""
        learner, images = self.learner, self._images_since_progress
        if not images:
            return
        loss, correct = self._step.read_totals()
        elapsed = self._reset_timer()
        waited, learner.train.fetch_seconds = learner.train.fetch_seconds, 0.0
        self._progress_time = self._timer
        self._images_since_progress = 0
        if not math.isfinite(loss):
            raise self._divergence(LOSS_NOT_FINITE)
        learner.seconds += elapsed
        totals = learner.totals
        totals.images += images
        totals.loss += loss
        totals.correct += correct
        totals.seconds += elapsed
        accuracy = None if self._mixes_labels else correct / images
        mean = MeanOfSteps(images, loss / images, accuracy, elapsed, waited)
        self._emit(mean.to_progress(learner, self._clock))

    def _preview_if_due(self) -> None:
        """Report predictions for a few images, if due. Call it only after `_report_progress`:
        the time it takes must not count as training time."""
        if self.preview is not None and self.preview.is_due():
            with contextlib.suppress(_EvaluationLeft):
                self._emit(self.preview.predict_sample(self._tick_in_evaluation))
            self._reset_timer()

    def _check_weights(self) -> None:
        """End the training if its weights are no numbers: they must not replace a checkpoint."""
        if not self.learner.is_finite:
            raise self._divergence(WEIGHTS_NOT_FINITE)

    def _divergence(self, what: str) -> EndTraining:
        learner = self.learner
        self._saver.finish()
        saved = f"best checkpoint: step {learner.best.step:,}" if learner.best.step else "no best"
        return EndTraining(
            FAILED,
            f"{what} near step {learner.step:,} ({saved}); try a lower lr (it was"
            f" {learner.lr:.3g}) or clip_norm = 1",
            f"--resume {{}} --lr {self.config.lr / 10:.3g}",
        )

    # -- commands ----------------------------------------------------------------

    def _execute_commands(self) -> None:
        """Serve small jobs and execute the commands that have arrived."""
        self.commands.poll()
        while self.commands.pending:
            self._execute(self.commands.pending.popleft())

    def _tick_in_evaluation(self) -> None:
        """Between two batches of an evaluation do what is done between two steps. The model may
        have its averaged weights: commands that need those of the training end the evaluation.
        Several processes, which evaluate a part each, look at commands at the next step."""
        if self.learner.processes.place.is_several:
            self.commands.on_tick()
            return
        self.commands.poll()
        while self.commands.pending:
            if isinstance(self.commands.pending[0], (Pause, FindLearningRate)):
                raise _EvaluationLeft
            self._execute(self.commands.pending.popleft())
        self._telemetry.report_if_due()

    def _wait_while_paused(self) -> None:
        self._report_progress()
        self._report_change("paused", "true")
        self._clock.stop_warm()
        while self._is_paused:
            self._save_if_due()
            self._inbox.wait(PAUSE_POLL_SECONDS)
            self._execute_commands()
        self._clock.start_warm()
        self._report_change("paused", "false")
        self._reset_timer()

    def _execute(self, command: Command) -> None:
        match command:
            case Stop(why=why):
                raise EndTraining(STOPPED, why)
            case Detach():
                raise EndTraining(DETACHED)
            case Pause():
                self._is_paused = True
            case Resume():
                self._is_paused = False
            case SaveCheckpoint():
                self._save_requested = True
            case SetLearningRate(lr=lr) if math.isfinite(lr) and lr > 0:
                self._set_lr(lr)
            case ScaleLearningRate(factor=factor) if math.isfinite(factor) and factor > 0:
                self._set_lr(self.learner.lr * factor)
            case FindLearningRate(low=low, high=high, steps=steps):
                self._find_lr(low, high, steps)
            case CancelSearch():
                pass  # the search has already ended
            case _:
                # One of the above with an impossible value.
                self._warn(format_ignored(command, "its value must be a finite number above 0"))

    def _set_lr(self, lr: float) -> None:
        before = self.learner.lr
        self.learner.set_lr(lr)
        self._report_change("lr", f"{lr:.6g}", f"{before:.6g}")

    def _find_lr(self, low: float, high: float, steps: int) -> None:
        """Search for a learning rate, then continue as if nothing had happened."""
        try:
            rates = RateRange(low, high, steps)
            lr_finder.check_batch_count(self.learner.train.count, self.config.batch_size)
        except UserError as error:
            self._emit(LrSearched(time.time(), self.learner.step, FAILED, message=str(error)))
            return
        self._report_progress()
        self._report_change("phase", lr_finder.PHASE)
        self._clock.stop_warm()
        lr_finder.search(self.learner, rates, self._emit, self.commands, self._step)
        self._clock.start_warm()
        self._report_change("phase", "training")
        self._reset_timer()

    # -- checkpoints -------------------------------------------------------------

    def _save_if_due(self, best: BestEpoch | None = None, *, and_last: bool = False) -> None:
        """Begin to save a new best and what is requested, at once, and what is due by the clock,
        once nothing else is being written."""
        seconds = 0.0 if self._is_paused else time.perf_counter() - self._save_time
        is_due = not self._saver.is_busy and seconds >= self.config.checkpoint_seconds
        (saves_last,) = self.learner.processes.agree([is_due or and_last])
        kinds = ["last"] if saves_last else []
        if self._save_requested:
            kinds = ["last", "step"]
        if best is None and not kinds:
            return
        self._report_progress()
        self._check_weights()
        self._saver.save(best, *kinds)
        if kinds:
            self._save_time, self._save_requested = time.perf_counter(), False
        self._reset_timer()

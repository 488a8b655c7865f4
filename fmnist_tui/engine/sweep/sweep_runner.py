"""A worker of a sweep: claims trials of a study, trains them one after another, records results.

`SweepRunner.run` runs in the thread that calls it; the session's thread trains.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from fmnist_tui.config.problems import ConfigError
from fmnist_tui.engine.run.failures import find_gpu_failure
from fmnist_tui.engine.run.notifier import Emit, notifying
from fmnist_tui.engine.run.run_end import emit_run_ended
from fmnist_tui.engine.run.run_started import build_run_started
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.sweep.trial_runner import TrialResult, TrialRunner
from fmnist_tui.protocol.commands import Pause, Resume, Stop, format_ignored
from fmnist_tui.protocol.events import (
    FAILED,
    FINISHED,
    STOPPED,
    SWEEP,
    Alert,
    RunStarted,
    TrialEnded,
)
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader, EventLog
from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.retry import StorageRetry
from fmnist_tui.sweeps.space import format_value
from fmnist_tui.sweeps.study import ClaimedTrial, StudyCounts, StudyLedger
from fmnist_tui.sweeps.study_locations import TRIALS
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.progress import OnProgress, ignore_progress
from fmnist_tui.util.text import safe_text

# This many failures in a row for the same reason end the sweep.
MAX_SAME_FAILURES = 3
# How often a worker that has nothing to do looks at the study.
WAIT_SECONDS = 0.5
STOP_REQUESTED = "stop requested"
COMPLETED = (FINISHED, "")
CHANGED_IMAGES = (
    "{} has changed since the first trial of this study: its trials are compared on other images"
)


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """How a sweep ended: a reason of `RunEnded`, why, and how many trials this worker did."""

    reason: str
    message: str
    done: int


class SweepRunner:
    """One worker of a study. `limit` is how many trials it does; None for all that are missing.
    `on_message` receives lines for the user.

    `group` is a folder that several workers of this machine share: `limit` is then what all of
    them do together, none ends while a trial of another may come back to the study, and each
    reports the progress of its own trials alone."""

    def __init__(
        self,
        session: Session,
        ledger: StudyLedger,
        folder: RunFolder,
        *,
        limit: int | None = None,
        group: Path | None = None,
        on_progress: OnProgress = ignore_progress,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._session, self._ledger, self._folder = session, ledger, folder
        self._spec = ledger.spec
        self._group, self._group_name = group, str(group or folder.path)
        self._limit, self._on_progress, self._on_message = limit, on_progress, on_message
        self._storage = StorageRetry(
            lambda message: self._alert(f"{message}; trying again", "warning"),
            lambda: self._stop_reason is not None,
        )
        self._started = time.monotonic()
        self._done = 0
        self._stop_reason: str | None = None
        # of the trials in a row that failed: whether each had started, and why it failed
        self._failures: list[tuple[bool, str]] = []
        self._commands: CommandReader | None = None
        self._emit: Emit = lambda _: None
        self._lock: RunLock | None = None
        self._are_images_checked = False
        self.training: Training | None = None

    def stop(self, why: str) -> None:
        """Stop the running trial, requeue it and end; any thread and signal handler may call it."""
        self._stop_reason = why

    def run(self) -> SweepOutcome:
        """Run trials until there are none left; the record gets one `RunEnded` in any case."""
        with contextlib.ExitStack() as stack:
            with self._folder.deleted_on_error():
                self._lock = stack.enter_context(RunLock.acquire(self._folder.path))
            log = EventLog(self._folder.events, lambda alert: self._on_message(alert.message))
            self._emit = stack.enter_context(notifying(self._folder, log.append))
            self._commands = CommandReader(self._folder.commands)
            try:
                with (
                    contextlib.suppress(UserError),
                    emit_run_ended(self._folder, self._emit) as end,
                ):
                    try:
                        self._emit(self._run_started(self._storage.retry(self._counts)))
                        end.reason, end.message = self._run_trials()
                    finally:
                        end.step = self._done
            finally:
                loss = log.close()
        if loss and end.reason != FAILED:
            return SweepOutcome(FAILED, loss, self._done)
        return SweepOutcome(end.reason, end.message, self._done)

    def _run_started(self, counts: StudyCounts) -> RunStarted:
        missing = max(1, self._spec.trials - counts.ended)
        return replace(
            build_run_started(self._folder, self._spec.base, SWEEP),
            recipe=self._spec.name,
            seed=self._spec.seed,
            epochs=missing if self._limit is None else self._limit,
            steps_per_epoch=1,
        )

    def _counts(self) -> StudyCounts:
        return self._ledger.counts(self._group_name)

    def _run_trials(self) -> tuple[str, str]:
        """Run trials to the sweep's end; returns its reason and message."""
        ledger, storage = self._ledger, self._storage
        is_waiting = False
        while True:
            if self._lock is not None:
                # A trial would make a deleted folder anew, without the sweep's own files.
                self._lock.require_folder()
            self._receive_commands()
            for number in storage.attempt(ledger.recover) or ():
                self._alert(trial_states.LOST_WORKER.format(number))
            _, is_stopped = storage.attempt(lambda: ledger.read_requests(None)) or (False, False)
            if is_stopped:
                self._stop_reason = self._stop_reason or STOP_REQUESTED
            with self._locked_group():
                counts = storage.retry(self._counts)
                if (end := self._end(counts)) is None:
                    try:
                        trial = storage.retry(self._claim)
                    except trial_states.AlreadyEndedError:
                        continue
            if end is None:
                self._record_result(trial, self._run_trial(trial, counts))
                is_waiting = False
            elif end == COMPLETED and self._group and counts.ended_of_group < counts.of_group:
                if not is_waiting:
                    self._report_progress(counts, 0.0, "waiting for the other workers")
                is_waiting = True
                time.sleep(WAIT_SECONDS)
            else:
                return end

    def _claim(self) -> ClaimedTrial:
        return self._ledger.claim(str(self._folder.path), self._group_name)

    def _locked_group(self) -> AbstractContextManager[None]:
        """Of the workers of a group one at a time counts the trials and takes one. One that is to
        stop takes none; the folder may be gone."""
        if self._group is None or self._stop_reason is not None:
            return nullcontext()
        return locked(self._group)

    def _end(self, counts: StudyCounts) -> tuple[str, str] | None:
        """The reason and message of the sweep's end, None if it goes on."""
        if self._stop_reason is not None:
            return STOPPED, self._stop_reason
        if (failure := find_gpu_failure(self._spec.base.device)) is not None:
            # Each further trial would be refused, and be one that has failed.
            return FAILED, str(failure)
        failures = self._failures[-MAX_SAME_FAILURES:]
        if len(failures) == MAX_SAME_FAILURES and len({normalise(why) for _, why in failures}) == 1:
            has_started, why = failures[-1]
            # If other trials succeed, these may fail because of their settings.
            if not (has_started and counts.successful):
                return (
                    FAILED,
                    f"{MAX_SAME_FAILURES} trials in a row failed for the same reason: {why}",
                )
        timeout = self._spec.timeout
        if timeout is not None and time.monotonic() - self._started >= timeout:
            return FINISHED, f"reached the time limit of {format_value(timeout)} s"
        total = self._spec.trials if self._limit is None else None
        is_enough = self._limit is not None and counts.of_group >= self._limit
        if is_enough or not self._ledger.has_room(counts, total):
            return COMPLETED
        return None

    def _run_trial(self, trial: ClaimedTrial, counts: StudyCounts) -> TrialResult:
        """Train a trial to its end and end it in the study."""
        try:
            config = self._spec.trial_config(trial.params, trial.number)
        except ConfigError as error:
            why = str(error.problems[0])
            self._storage.retry(lambda: self._ledger.end(trial, trial_states.FAILED, why=why))
            return TrialResult(trial_states.FAILED, why=why, has_started=True)
        training = self._session.run_trial(config, self._folder.path / TRIALS)
        self.training = training
        runner = TrialRunner(self._ledger, trial, training, self._storage)
        while not runner.poll():
            self._receive_commands()
            if runner.is_stop_requested:
                self._stop_reason = self._stop_reason or STOP_REQUESTED
            runner.stop_if_requested(self._stop_reason)
            self._check_images(training)
            self._report_trial_progress(trial, runner, counts)
        self.training = None
        return runner.conclude(self._stop_reason)

    def _check_images(self, training: Training) -> None:
        """Say so, once, if the folder of images has changed since the study's first trial."""
        data = training.dataset.fingerprint if training.dataset is not None else None
        if data is None or self._are_images_checked:
            return
        digests = {name: split.digest for name, split in data.splits.items()}
        is_same = self._storage.attempt(lambda: self._ledger.has_same_images(digests))
        self._are_images_checked = is_same is not None
        if is_same is False:
            self._alert(CHANGED_IMAGES.format(safe_text(self._spec.base.dataset)), "warning")

    def _receive_commands(self) -> None:
        for command in self._commands.poll() if self._commands else ():
            if isinstance(command, Stop):
                self._stop_reason = command.why or STOP_REQUESTED
            elif isinstance(command, (Pause, Resume)) and self.training is not None:
                self.training.send(command)
            else:
                self._alert(format_ignored(command))

    def _record_result(self, trial: ClaimedTrial, result: TrialResult) -> None:
        self._done += result.state not in trial_states.REQUEUED
        if result.state == trial_states.FAILED:
            self._failures.append((result.has_started, result.why))
        else:
            self._failures.clear()
        counts = self._storage.attempt(self._counts)
        best = counts.best if counts else None
        params = tuple((key, format_value(value)) for key, value in trial.params.items())
        self._emit(
            TrialEnded(
                t=time.time(),
                trial=trial.number,
                state=result.state,
                value=result.value,
                params=params,
                epochs=result.epochs,
                seconds=time.time() - trial.started_at,
                done=self._done,
                best=best,
                run=result.run,
                message=result.why,
            )
        )
        title = f"trial {trial.number} {result.state}"
        parts = [title]
        parts += [format_percent(result.value)] if result.value is not None else []
        parts += [f"(best {format_percent(best)})"] if best is not None else []
        parts.append(", ".join(f"{key} {value}" for key, value in params))
        parts += [f"· {result.why}"] if result.why else []
        self._on_message(" ".join(parts))
        if counts is not None:
            self._report_progress(counts, 0.0, title)

    def _report_trial_progress(
        self, trial: ClaimedTrial, runner: TrialRunner, counts: StudyCounts
    ) -> None:
        state, epochs = runner.state, self._spec.base.epochs
        what = runner.step
        if state.started is not None:
            what = f"epoch {min(max(1, state.epoch), epochs)}/{epochs}"
        if state.best is not None:
            what += f", {format_percent(state.best.val_accuracy or 0)}"
        self._report_progress(counts, state.fraction, f"trial {trial.number}: {what}")

    def _report_progress(self, counts: StudyCounts, fraction: float, what: str) -> None:
        done, total = counts.ended, self._spec.trials
        if self._group is not None or self._limit is not None:
            done, total = self._done, self._limit or total
        self._on_progress(min(total, done + fraction), total, what)

    def _alert(self, message: str, level: str = "note") -> None:
        self._emit(Alert(time.time(), level, message))
        self._on_message(message)


def normalise(why: str) -> str:
    """A failure message without its numbers, to compare the kinds of two failures."""
    return re.sub(r"[\d.,]+", "#", why)

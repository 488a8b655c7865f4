"""One trial of a sweep: a training of the session, whose epochs are reported to the study.

The training does not wait for the study: epochs that cannot be reported now are reported later.
`conclude` ends the trial in the study as complete, pruned, killed, failed or requeued.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.events import FAILED, FINISHED, STOPPED, EpochEnded
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.retry import StorageRetry
from fmnist_tui.sweeps.study import HEARTBEAT_SECONDS, ClaimedTrial, StudyLedger
from fmnist_tui.util.errors import UserError, format_unexpected_error

POLL_SECONDS = 0.1
# More unreported epochs than this are thinned out.
MAX_REPORTS = 20
ENDED_ELSEWHERE = "ended by another process"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The end of a trial: a state of `trial_states`, and why.

    `has_started` is False if it failed before its settings had any effect: the dataset could
    not be loaded or no folder created. `run` is the name of its folder."""

    state: str
    value: float | None = None
    why: str = ""
    epochs: int = 0
    run: str = ""
    has_started: bool = False


class TrialRunner:
    """Call `poll` until it returns True, then `conclude`.

    `is_stop_requested` becomes True when all workers of the study are asked to stop."""

    def __init__(
        self, ledger: StudyLedger, trial: ClaimedTrial, training: Training, storage: StorageRetry
    ) -> None:
        self._ledger, self._trial, self._storage = ledger, trial, storage
        self.training = training
        self.state = RunState()
        self.is_stop_requested = False
        self.step = "starting"
        # values by epoch
        self._unreported: dict[int, float] = {}
        self._heartbeat = time.monotonic()
        self._is_pruned = self._is_killed = self._is_ended_elsewhere = self._is_stopping = False
        self._is_run_known = self._is_run_recorded = False

    def poll(self) -> bool:
        """Wait a moment and pass the training's news to the study; True when it has ended."""
        is_done = self.training.wait(POLL_SECONDS)
        while self.training.load_steps:
            step = self.training.load_steps.popleft()
            self.step = f"{step.dataset}: {step.message or step.source}"
        if self.training.folder is not None and not self._is_run_known:
            self._is_run_known = True
            self._attempt(self._record_run)
        epoch = 0
        while self.training.events:
            event = self.training.events.popleft()
            self.state.apply(event)
            if isinstance(event, EpochEnded) and event.val_accuracy is not None:
                epoch = event.epoch
                self._unreported[epoch] = event.val_accuracy
        if epoch:
            self._report_epoch(epoch)
        if is_done and not self.training.events:
            return True
        if time.monotonic() - self._heartbeat >= HEARTBEAT_SECONDS:
            self._heartbeat = time.monotonic()
            self._attempt(partial(self._ledger.send_heartbeat, self._trial))
            self._read_requests()
        return False

    def stop_if_requested(self, sweep_stop_reason: str | None) -> None:
        """Stop the training, once, if anything requires it."""
        why = sweep_stop_reason or ("pruned" if self._is_pruned else None)
        why = "killed" if self._is_killed else why
        why = ENDED_ELSEWHERE if self._is_ended_elsewhere else why
        if why is not None and not self._is_stopping:
            self._is_stopping = True
            self.training.stop(why)

    def conclude(self, sweep_stop_reason: str | None) -> TrialResult:
        """End the trial in the study; a UserError says that the storage could not be written."""
        ledger, trial, state = self._ledger, self._trial, self.state
        val = find_validation(state)
        value = val.accuracy if val is not None else None
        result, why = self._result(sweep_stop_reason, value)
        end = partial(ledger.end, trial, result, value, why)
        if result == trial_states.STOPPED:
            end = partial(ledger.requeue, trial, why)
        try:
            self._storage.retry(self._report)
            self._storage.retry(end)
        except trial_states.AlreadyEndedError:
            result, why = trial_states.LOST, ENDED_ELSEWHERE
        run = self.training.folder.name if self.training.folder is not None else ""
        has_started = state.started is not None
        return TrialResult(result, value, why, state.epochs_done, run, has_started)

    def _report_epoch(self, epoch: int) -> None:
        should_prune = self._attempt(self._report)
        started = self.state.started
        # After the last epoch there is nothing left to prune.
        if should_prune and started and epoch < started.epochs and not self.training.is_done:
            self._is_pruned = True
        self._read_requests()

    def _report(self) -> bool:
        should_prune = False
        if len(self._unreported) > MAX_REPORTS:
            # Epochs end faster than they can be reported: report only every n-th.
            step = len(self._unreported) // MAX_REPORTS + 1
            epochs = sorted(self._unreported, reverse=True)[::step]
            self._unreported = {epoch: self._unreported[epoch] for epoch in epochs}
        for epoch, value in sorted(self._unreported.items()):
            should_prune = self._ledger.report(self._trial, epoch, value)
            del self._unreported[epoch]
        return should_prune

    def _read_requests(self) -> None:
        """Read kill and stop requests; retry what could not be written before."""
        self._attempt(self._record_run)
        if self._unreported:
            self._attempt(self._report)
        requests = self._attempt(partial(self._ledger.read_requests, self._trial))
        killed, stopped = requests or (False, False)
        self._is_killed = self._is_killed or killed
        self.is_stop_requested = self.is_stop_requested or stopped

    def _record_run(self) -> None:
        folder = self.training.folder
        if folder is not None and not self._is_run_recorded:
            self._ledger.record_run(self._trial, str(folder.path))
            self._is_run_recorded = True

    def _attempt(self, call: Callable[[], Result]) -> Result | None:
        try:
            return self._storage.attempt(call)
        except trial_states.AlreadyEndedError:
            self._is_ended_elsewhere = True
            return None

    def _result(self, sweep_stop_reason: str | None, value: float | None) -> tuple[str, str]:
        """The state in which the trial ended, and why."""
        ended, message = self.state.end_reason, self.state.message
        if ended == FINISHED and value is not None:
            return trial_states.COMPLETE, ""
        if ended == STOPPED and self._is_pruned and not self._is_killed:
            return trial_states.PRUNED, ""
        if sweep_stop_reason is not None and ended in (STOPPED, None) and not self._is_killed:
            return trial_states.STOPPED, sweep_stop_reason
        if ended in (FAILED, FINISHED, None):
            return trial_states.FAILED, message or self._failure()
        return trial_states.KILLED, message or "stopped by the user"

    def _failure(self) -> str:
        error = self.training.error
        if isinstance(error, UserError):
            return str(error).splitlines()[0]
        if error is not None:
            return format_unexpected_error(error)
        return "it has no validation images" if self.state.end_reason else "not started"

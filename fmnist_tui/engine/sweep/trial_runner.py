"""One trial of a sweep: a training as the session does it, with the study told of every epoch.

The training does not wait for the study: epochs that a storage cannot be told of now are
told later. The last word (complete, pruned, killed, failed, given back) is `conclude`.
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
from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.retry import StorageRetry
from fmnist_tui.sweeps.study import HEARTBEAT_SECONDS, ClaimedTrial, StudyLedger, TrialTakenError
from fmnist_tui.util.errors import UserError, reason

LOOK_SECONDS = 0.1
MOST_AT_ONCE = 20
TAKEN = "ended by another process"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial came to: a state of `TrialView`, and why, where there is more to say.

    `began` is whether its settings came to matter: where the data are not to be had, or no
    folder can be made, they do not. `run` is its folder's name."""

    state: str
    value: float | None = None
    why: str = ""
    epochs: int = 0
    run: str = ""
    began: bool = False


class TrialRunner:
    """`look` again and again until it says that the training has ended, then `conclude`.

    `stopped` becomes true where somebody has told all workers of the study to stop."""

    def __init__(
        self, ledger: StudyLedger, begun: ClaimedTrial, training: Training, asking: StorageRetry
    ) -> None:
        self._ledger, self._begun, self._asking = ledger, begun, asking
        self.training = training
        self.state = RunState()
        self.stopped = False
        self.step = "starting"
        self._unsaid: dict[int, float] = {}
        self._beat = time.monotonic()
        self._pruned = self._killed = self._taken = False
        self._is_told = self._is_stopping = False
        self._run: str | None = None

    def look(self) -> bool:
        """Wait a moment, take in what the training has said, pass it on; whether it is over."""
        ended = self.training.wait(LOOK_SECONDS)
        while self.training.steps:
            step = self.training.steps.popleft()
            self.step = f"{step.dataset}: {step.message or step.source}"
        if self.training.folder is not None and self._run is None:
            self._run = str(self.training.folder.path)
            self._tell_run()
        epoch = 0
        while self.training.events:
            event = self.training.events.popleft()
            self.state.apply(event)
            if isinstance(event, EpochEnded) and event.val_accuracy is not None:
                epoch = event.epoch
                self._unsaid[epoch] = event.val_accuracy
        if epoch:
            self._epoch_ended(epoch)
        if ended and not self.training.events:
            return True
        if time.monotonic() - self._beat >= HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            self._say(partial(self._ledger.send_heartbeat, self._begun))
            self._ask()
        return False

    def obey(self, stop: str | None) -> None:
        """Stop the training where that is due, once; `stop` says why all of it is to stop."""
        why = stop or ("pruned" if self._pruned else None)
        why = "killed" if self._killed else why
        why = TAKEN if self._taken else why
        if why is not None and not self._is_stopping:
            self._is_stopping = True
            self.training.stop(why)

    def conclude(self, stop: str | None) -> TrialResult:
        """Tell the study how it ended. A UserError says that it could not be told."""
        ledger, begun, state = self._ledger, self._begun, self.state
        value = state.best.val_accuracy if state.best else None
        word, why = self._ending(stop, value)
        tell: Callable[[], None]
        if word == trial_states.COMPLETE and value is not None:
            tell = partial(ledger.complete, begun, value)
        elif word == trial_states.STOPPED:
            tell = partial(ledger.requeue, begun, why)
        elif word == trial_states.FAILED:
            tell = partial(ledger.fail, begun, why)
        else:
            tell = partial(ledger.prune, begun, why, killed=word == trial_states.KILLED)
        try:
            self._asking.retry(self._report)
            self._asking.retry(tell)
        except TrialTakenError:
            word, why = trial_states.LOST, TAKEN
        run = self.training.folder.name if self.training.folder is not None else ""
        began = state.started is not None
        return TrialResult(word, value, why, state.epochs_done, run, began)

    # -- what the study is told and says ---------------------------------------------------

    def _epoch_ended(self, epoch: int) -> None:
        prune = self._say(self._report)
        started = self.state.started
        # The last epoch is never one too many.
        if prune and started is not None and epoch < started.epochs and not self.training.done:
            self._pruned = True
        self._ask()

    def _report(self) -> bool:
        prune = False
        if len(self._unsaid) > MOST_AT_ONCE:
            # Where epochs come faster than they can be told, some are told for all.
            few = len(self._unsaid) // MOST_AT_ONCE
            epochs = sorted(self._unsaid, reverse=True)[:: few + 1]
            self._unsaid = {epoch: self._unsaid[epoch] for epoch in epochs}
        for epoch, value in sorted(self._unsaid.items()):
            prune = self._ledger.report(self._begun, epoch, value)
            del self._unsaid[epoch]
        return prune

    def _ask(self) -> None:
        """See whether it is to go on; and whatever could not be said before may be said now."""
        self._tell_run()
        if self._unsaid:
            self._say(self._report)
        killed, stopped = self._say(partial(self._ledger.read_requests, self._begun)) or (
            False,
            False,
        )
        self._killed = self._killed or killed
        self.stopped = self.stopped or stopped

    def _tell_run(self) -> None:
        if self._run is not None and not self._is_told:
            found = self._say(partial(self._ledger.record_run, self._begun, self._run))
            self._is_told = found is not None

    def _say(self, ask: Callable[[], Found]) -> Found | None:
        try:
            return self._asking.attempt(ask)
        except TrialTakenError:
            self._taken = True
            return None

    def _ending(self, stop: str | None, value: float | None) -> tuple[str, str]:
        """In which state of `TrialView` it ended, and why."""
        ended, message = self.state.end_reason, self.state.message
        if ended == FINISHED and value is not None:
            return trial_states.COMPLETE, ""
        if ended == STOPPED and self._pruned and not self._killed:
            return trial_states.PRUNED, ""
        if stop is not None and ended in (STOPPED, None) and not self._killed:
            return trial_states.STOPPED, stop
        if ended in (FAILED, FINISHED, None):
            return trial_states.FAILED, message or self._why_not()
        return trial_states.KILLED, message or "stopped by hand"

    def _why_not(self) -> str:
        error = self.training.error
        if isinstance(error, UserError):
            return str(error).splitlines()[0]
        if error is not None:
            return f"{type(error).__name__}: {reason(error)}"
        return (
            "it has no validation images to be judged by" if self.state.end_reason else "not begun"
        )

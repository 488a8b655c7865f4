"""A sweep at work: trials asked of a study, trained one after the other, told what they came to.

`SweepRunner.run` belongs to the thread that calls it; the trainings are the session's, as ever.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import fmnist_tui
from fmnist_tui.config.problems import ConfigError
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.sweep.trial_runner import TrialResult, TrialRunner
from fmnist_tui.protocol.commands import Command, Pause, Resume, Stop
from fmnist_tui.protocol.events import (
    FAILED,
    FINISHED,
    STOPPED,
    SWEEP,
    Alert,
    Event,
    RunEnded,
    RunStarted,
    TrialEnded,
)
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader, EventLog
from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.retry import StorageRetry
from fmnist_tui.sweeps.space import format_value
from fmnist_tui.sweeps.study import ClaimedTrial, StudyCounts, StudyLedger, TrialTakenError
from fmnist_tui.sweeps.study_locations import TRIALS
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.progress import OnProgress, ignore_progress

# So many failures of one kind in a row are no accident.
SAME_FAILURES = 3
TOLD_TO = "told to"
LOST_WORKER = "trial {} lost its worker: its settings will be tried again"


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """How a sweep ended: a reason of `RunEnded`, why, and how many trials this worker did."""

    reason: str
    message: str
    done: int


class SweepRunner:
    """One worker on a study. `trials` is how many it does; None for as many as the study
    lacks. `say` is told what is worth a line."""

    def __init__(
        self,
        session: Session,
        ledger: StudyLedger,
        folder: RunFolder,
        *,
        trials: int | None = None,
        tell: OnProgress = ignore_progress,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._session, self._ledger, self._folder = session, ledger, folder
        self._spec = ledger.spec
        self._wanted, self._tell, self._say = trials, tell, say
        self._asking = StorageRetry(self._warn, lambda: self._why is not None)
        self._began = time.monotonic()
        self._done = 0
        self._why: str | None = None
        self._failures: list[tuple[bool, str]] = []
        self._commands: CommandReader | None = None
        self._log: EventLog | None = None
        self.training: Training | None = None

    def stop(self, why: str) -> None:
        """Have the running trial stopped and given back, then end. May be called by any
        thread and any signal handler."""
        self._why = why

    def run(self) -> SweepOutcome:
        """Do trials until there are none to do; the record says how it ended, whatever happens."""
        with RunLock.acquire(self._folder.path):
            self._log = EventLog(self._folder.events, self._say)
            self._commands = CommandReader(self._folder.commands)
            outcome = SweepOutcome(FAILED, "the program was ended", 0)
            try:
                self._emit(self._started(self._asking.retry(self._ledger.counts)))
                outcome = self._trials()
            except UserError as error:
                outcome = SweepOutcome(FAILED, str(error), self._done)
            except KeyboardInterrupt:
                outcome = SweepOutcome(STOPPED, "ended at once", self._done)
                raise
            except Exception as error:
                outcome = SweepOutcome(
                    FAILED, f"{type(error).__name__}: {reason(error)}", self._done
                )
                raise
            finally:
                seconds = time.monotonic() - self._began
                self._emit(
                    RunEnded(time.time(), self._done, 0, outcome.reason, seconds, outcome.message)
                )
                self._log.close()
        return outcome

    # -- one trial after the other ------------------------------------------------------

    def _trials(self) -> SweepOutcome:
        ledger, asking = self._ledger, self._asking
        while True:
            self._listen()
            for number in asking.attempt(ledger.recover) or ():
                self._note(LOST_WORKER.format(number))
            _, stopped = asking.attempt(lambda: ledger.read_requests(None)) or (False, False)
            if stopped:
                self._why = self._why or TOLD_TO
            standing = asking.retry(ledger.counts)
            end = self._end(standing)
            if end is not None:
                return SweepOutcome(*end, self._done)
            try:
                begun = asking.retry(lambda: ledger.claim(str(self._folder.path)))
            except TrialTakenError:
                continue
            self._take_down(begun, self._trial(begun, standing))

    def _end(self, standing: StudyCounts) -> tuple[str, str] | None:
        """How it ends, if it does now, and why."""
        if self._why is not None:
            return STOPPED, self._why
        same = self._failures[-SAME_FAILURES:]
        if len(same) == SAME_FAILURES and len({alike(why) for _, why in same}) == 1:
            began, why = same[-1]
            # Where some trials do well, others may fail for what their settings ask for.
            if not (began and standing.successful):
                return FAILED, f"{SAME_FAILURES} trials in a row failed alike: {why}"
        timeout = self._spec.timeout
        if timeout is not None and time.monotonic() - self._began >= timeout:
            return FINISHED, f"{format_value(timeout)} s are over"
        total = self._spec.trials if self._wanted is None else None
        enough = self._wanted is not None and self._done >= self._wanted
        if enough or not self._ledger.has_room(standing, total):
            return FINISHED, ""
        return None

    def _trial(self, begun: ClaimedTrial, standing: StudyCounts) -> TrialResult:
        """Train it to its end and tell the study."""
        try:
            config = self._spec.trial_config(begun.params, begun.number)
        except ConfigError as error:
            why = str(error.problems[0])
            self._asking.retry(lambda: self._ledger.fail(begun, why))
            return TrialResult(trial_states.FAILED, why=why, began=True)
        training = self._session.trial(config, self._folder.path / TRIALS)
        self.training = training
        trial = TrialRunner(self._ledger, begun, training, self._asking)
        while not trial.look():
            self._listen()
            if trial.stopped:
                self._why = self._why or TOLD_TO
            trial.obey(self._why)
            self._progress(begun, trial, standing)
        self.training = None
        return trial.conclude(self._why)

    def _listen(self) -> None:
        for command in self._commands.poll() if self._commands else ():
            self._hear(command)

    def _hear(self, command: Command) -> None:
        if isinstance(command, Stop):
            self._why = command.why or TOLD_TO
        elif isinstance(command, (Pause, Resume)) and self.training is not None:
            self.training.send(command)
        else:
            self._note(f"ignored: {command}")

    # -- what it says ---------------------------------------------------------------------

    def _take_down(self, begun: ClaimedTrial, result: TrialResult) -> None:
        """Put into the record, and say, how a trial ended."""
        self._done += result.state not in trial_states.REQUEUED
        if result.state == trial_states.FAILED:
            self._failures.append((result.began, result.why))
        else:
            self._failures.clear()
        standing = self._asking.attempt(self._ledger.counts)
        best = standing.best if standing else None
        params = tuple((key, format_value(value)) for key, value in begun.params.items())
        self._emit(
            TrialEnded(
                t=time.time(),
                trial=begun.number,
                state=result.state,
                value=result.value,
                params=params,
                epochs=result.epochs,
                seconds=time.time() - begun.started_at,
                done=self._done,
                best=best,
                run=result.run,
                message=result.why,
            )
        )
        words = [f"trial {begun.number} {result.state}"]
        words += [f"{100 * result.value:.2f} %"] if result.value is not None else []
        words += [f"(best {100 * best:.2f} %)"] if best is not None else []
        words.append(", ".join(f"{key} {value}" for key, value in params))
        words += [f"· {result.why}"] if result.why else []
        self._say(" ".join(words))
        if standing is not None:
            self._tell_how_far(standing, 0.0, words[0])

    def _progress(self, begun: ClaimedTrial, trial: TrialRunner, standing: StudyCounts) -> None:
        state, epochs = trial.state, self._spec.base.epochs
        what = trial.step
        if state.started is not None:
            what = f"epoch {min(max(1, state.epoch), epochs)}/{epochs}"
        if state.best is not None:
            what += f", {100 * (state.best.val_accuracy or 0):.2f} %"
        self._tell_how_far(standing, state.fraction, f"trial {begun.number}: {what}")

    def _tell_how_far(self, standing: StudyCounts, fraction: float, what: str) -> None:
        done, total = standing.ended, self._spec.trials
        if self._wanted is not None:
            done, total = self._done, self._wanted
        self._tell(min(total, done + fraction), total, what)

    def _warn(self, trouble: str) -> None:
        self._note(f"{trouble}; it is asked again", "warning")

    def _note(self, message: str, level: str = "note") -> None:
        self._emit(Alert(time.time(), level, message))
        self._say(message)

    def _emit(self, event: Event) -> None:
        if self._log is not None:
            self._log.append(event)

    def _started(self, standing: StudyCounts) -> RunStarted:
        base, left = self._spec.base, max(1, self._spec.trials - standing.ended)
        return RunStarted(
            t=time.time(),
            run=self._folder.name,
            recipe=self._spec.name,
            dataset=base.dataset,
            model=base.model,
            parameters=0,
            device=base.device,
            device_name="",
            precision=base.precision,
            seed=self._spec.seed,
            epochs=left if self._wanted is None else self._wanted,
            steps_per_epoch=1,
            batch_size=base.batch_size,
            train_count=0,
            val_count=0,
            test_count=0,
            classes=(),
            host=socket.gethostname(),
            pid=os.getpid(),
            version=fmnist_tui.__version__,
            kind=SWEEP,
        )


def alike(why: str) -> str:
    """A failure without its figures: two that differ in nothing else are of one kind."""
    return re.sub(r"[\d.,]+", "#", why)

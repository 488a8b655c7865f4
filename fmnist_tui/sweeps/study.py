"""A study as one worker sees it: claim a trial, report its epochs, end it, recover lost ones.

Besides what Optuna stores, a trial records its worker and a heartbeat, which works alike in
databases and journals; the study records the sweep file and the requests to kill a trial or
stop the workers.

Imports Optuna, so it is itself imported only where a study is worked on.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from fmnist_tui.sweeps import sampling
from fmnist_tui.sweeps.space import Value
from fmnist_tui.sweeps.spec import SweepSpec, parse, to_toml
from fmnist_tui.sweeps.storage import StorageLocation, exclusive, storage_errors
from fmnist_tui.sweeps.trial_states import (
    ATTEMPT,
    END,
    FAILED,
    HEARTBEAT,
    KILL,
    KILLED,
    LOST,
    REQUEUED,
    RETRY_OF,
    RUN,
    SPEC,
    STOP,
    STOPPED,
    SWEEP,
    WORKER,
    TrialTakenError,
    trial_end,
    trial_worker,
)
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

HEARTBEAT_SECONDS = 15.0
# A trial of another machine is lost after this long without a heartbeat.
LOST_SECONDS = 60.0
# Settings whose workers died this often are not tried again: they may be the cause.
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ClaimedTrial:
    """A trial that this worker runs."""

    number: int
    params: Mapping[str, Value]
    trial: optuna.Trial = field(repr=False)
    started_at: float


@dataclass(frozen=True, slots=True)
class StudyCounts:
    """Trials that exist, ended, wait, and ended complete or pruned; the best value."""

    total: int
    ended: int
    waiting: int
    successful: int
    best: float | None


class StudyLedger:
    """The study of a sweep, for one worker. Storage failures are UserErrors."""

    def __init__(
        self,
        location: StorageLocation,
        storage: BaseStorage,
        study: optuna.Study,
        spec: SweepSpec,
    ) -> None:
        self.location, self.study, self.spec = location, study, spec
        self._storage = storage
        self._distributions = sampling.build_distributions(spec)
        # By trial number: the last heartbeat seen, and when it was first seen.
        self._heartbeats: dict[int, tuple[object, float]] = {}
        self._requeued: set[int] = set()
        with _storage_errors(location):
            self._stop_count = study.user_attrs.get(STOP, 0)

    @classmethod
    def join(cls, location: StorageLocation, storage: BaseStorage, spec: SweepSpec) -> Self:
        """Create the study, or join the existing one of that name if it has the same spec."""
        with _storage_errors(location), exclusive(location):
            study = optuna.create_study(
                study_name=spec.name,
                storage=storage,
                sampler=sampling.NumberedSampler(spec),
                pruner=sampling.build_pruner(spec),
                direction="maximize",
                load_if_exists=True,
            )
            if SPEC not in study.user_attrs and not study.get_trials(deepcopy=False):
                study.set_user_attr(SPEC, to_toml(spec))
        differences = spec.differences(read_spec(study, location))
        if differences:
            raise UserError(
                f"the study {safe_text(spec.name)} in {location.name} has other settings"
                f" ({safe_text('; '.join(differences), 200)}): choose another --name"
            )
        return cls(location, storage, study, spec)

    # -- claiming a trial -----------------------------------------------------------------

    def counts(self) -> StudyCounts:
        """The progress of the study, all workers together."""
        with _storage_errors(self.location):
            trials = self.study.get_trials(deepcopy=False)
        values = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
        return StudyCounts(
            total=_count(trials),
            ended=_count([trial for trial in trials if trial.state.is_finished()]),
            waiting=sum(trial.state == TrialState.WAITING for trial in trials),
            successful=sum(
                trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials
            ),
            best=max(filter(None, values), default=None),
        )

    def has_room(self, counts: StudyCounts, limit: int | None) -> bool:
        """Whether there is a trial to run: a waiting one, or a new one below `limit`."""
        if self.spec.sampler == "grid":
            limit = min(filter(None, (self.spec.grid_size(), limit)))
        return bool(counts.waiting) or limit is None or counts.total < limit

    def claim(self, sweep_folder: str = "") -> ClaimedTrial:
        """The next trial: a waiting one, else a new one. `sweep_folder` is this worker's run."""
        with _storage_errors(self.location):
            with exclusive(self.location):
                trial = self.study.ask(self._distributions)
            now = time.time()
            trial.set_user_attr(WORKER, {**_this_process(), "began": now, SWEEP: sweep_folder})
            trial.set_user_attr(HEARTBEAT, now)
        return ClaimedTrial(
            trial.number, sampling.typed_params(trial.params, self.spec), trial, now
        )

    # -- while it runs --------------------------------------------------------------------

    def record_run(self, claimed: ClaimedTrial, run: str) -> None:
        """Store the path of the trial's run folder."""
        with _storage_errors(self.location):
            claimed.trial.set_user_attr(RUN, run)

    def report(self, claimed: ClaimedTrial, epoch: int, value: float) -> bool:
        """Report the value of an epoch; returns whether the trial should be pruned."""
        with _storage_errors(self.location):
            claimed.trial.report(value, epoch)
            return bool(claimed.trial.should_prune())

    def send_heartbeat(self, claimed: ClaimedTrial) -> None:
        with _storage_errors(self.location):
            claimed.trial.set_user_attr(HEARTBEAT, time.time())

    def read_requests(self, claimed: ClaimedTrial | None) -> tuple[bool, bool]:
        """Whether the trial is to be killed, and whether the workers are to stop."""
        with _storage_errors(self.location):
            attributes = self.study.user_attrs
        killed = claimed is not None and f"{KILL}{claimed.number}" in attributes
        return killed, attributes.get(STOP, 0) != self._stop_count

    # -- ending it ------------------------------------------------------------------------

    def complete(self, claimed: ClaimedTrial, value: float) -> None:
        self._end(claimed, TrialState.COMPLETE, value)

    def prune(self, claimed: ClaimedTrial, why: str = "", *, killed: bool = False) -> None:
        """End it early: it was pruned, or killed by a user."""
        self._end(claimed, TrialState.PRUNED, state_name=KILLED if killed else "", why=why)

    def fail(self, claimed: ClaimedTrial, why: str) -> None:
        self._end(claimed, TrialState.FAIL, state_name=FAILED, why=why)

    def requeue(self, claimed: ClaimedTrial, why: str) -> None:
        """End it as stopped and queue its settings again, for any worker."""
        # Retried after a storage failure in between: only the missing part is done then.
        if claimed.number not in self._requeued:
            self._end(claimed, TrialState.FAIL, state_name=STOPPED, why=why)
            self._requeued.add(claimed.number)
        with _storage_errors(self.location):
            attempt = claimed.trial.user_attrs.get(ATTEMPT, 1)
            _enqueue(self.study, claimed.number, claimed.params, attempt)

    def _end(
        self,
        claimed: ClaimedTrial,
        state: TrialState,
        value: float | None = None,
        *,
        state_name: str = "",
        why: str = "",
    ) -> None:
        seconds = round(time.time() - claimed.started_at, 1)
        with _storage_errors(self.location):
            claimed.trial.set_user_attr(END, {"as": state_name, "why": why, "seconds": seconds})
            with _taken_errors():
                self.study.tell(claimed.trial, value, state=state)

    # -- trials whose worker died -----------------------------------------------------------

    def recover(self) -> list[int]:
        """End the trials whose worker died and queue their settings again; their numbers."""
        recovered = []
        with _storage_errors(self.location):
            running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            for trial in running:
                if self._is_lost(trial):
                    with contextlib.suppress(TrialTakenError):
                        end_lost_trial(self.study, self._storage, self.location, trial)
                        recovered.append(trial.number)
        return recovered

    def _is_lost(self, trial: FrozenTrial) -> bool:
        if is_worker_dead(trial):
            return True
        # Measured by this machine's clock alone: the clocks of others may differ.
        heartbeat, now = trial.user_attrs.get(HEARTBEAT), time.monotonic()
        last, since = self._heartbeats.get(trial.number, (None, now))
        if trial.number not in self._heartbeats or last != heartbeat:
            self._heartbeats[trial.number] = heartbeat, now
            return False
        return now - since > LOST_SECONDS


def read_spec(study: optuna.Study, location: StorageLocation) -> SweepSpec:
    """The sweep spec that a study was created with."""
    with _storage_errors(location):
        text = study.user_attrs.get(SPEC)
    name = safe_text(study.study_name)
    if not isinstance(text, str):
        raise UserError(f"the study {name} in {location.name} was not created by this program")
    return parse(text, f"the study {name}", study.study_name)


def end_lost_trial(
    study: optuna.Study,
    storage: BaseStorage,
    location: StorageLocation,
    trial: FrozenTrial,
    *,
    killed: bool = False,
) -> None:
    """End a trial whose worker died. Its settings are queued again, unless it was killed or
    has cost too many workers. TrialTakenError if another process ended it first."""
    attempt = int(trial.user_attrs.get(ATTEMPT, 1))
    is_last = attempt >= MAX_ATTEMPTS
    why = f"its worker died, as {attempt - 1} before it" if is_last else "its worker died"
    state = KILLED if killed else FAILED if is_last else LOST
    heartbeat, started = trial.user_attrs.get(HEARTBEAT), trial_worker(trial).get("began")
    seconds = None
    if isinstance(heartbeat, float) and isinstance(started, float) and heartbeat > started:
        seconds = round(heartbeat - started, 1)
    with exclusive(location), _taken_errors():
        # Several processes may write this attribute at once, but only one can end the trial.
        study_id = storage.get_study_id_from_name(study.study_name)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        storage.set_trial_user_attr(trial_id, END, {"as": state, "why": why, "seconds": seconds})
        study.tell(trial.number, state=TrialState.FAIL)
    if state == LOST:
        _enqueue(study, trial.number, trial.params, attempt + 1)


def is_worker_dead(trial: FrozenTrial) -> bool:
    """Whether a trial's worker was a process of this machine that no longer exists."""
    worker, here = trial_worker(trial), _this_process()
    if any(worker.get(key) != here[key] for key in ("host", "space")):
        return False
    pid = worker.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _this_process() -> dict[str, Any]:
    """Host, pid and pid namespace: containers may share a host name but not their pids."""
    space = ""
    with contextlib.suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return {"host": socket.gethostname(), "pid": os.getpid(), "space": space}


def _count(trials: Sequence[FrozenTrial]) -> int:
    """The number of trials without requeued ones, whose settings are tried again by others."""
    return sum(trial_end(trial).get("as") not in REQUEUED for trial in trials)


def _enqueue(study: optuna.Study, number: int, params: Mapping[str, Any], attempt: int) -> None:
    if params:
        study.enqueue_trial(dict(params), user_attrs={RETRY_OF: number, ATTEMPT: attempt})


@contextlib.contextmanager
def _taken_errors() -> Iterator[None]:
    """Translate both errors by which Optuna reports that a trial has already ended."""
    try:
        yield
    except UpdateFinishedTrialError as error:
        raise TrialTakenError from error
    except ValueError as error:
        if "Cannot tell" in str(error):
            raise TrialTakenError from error
        raise


@contextlib.contextmanager
def _storage_errors(location: StorageLocation) -> Iterator[None]:
    with storage_errors(location):
        try:
            yield
        except UpdateFinishedTrialError as error:
            raise TrialTakenError from error

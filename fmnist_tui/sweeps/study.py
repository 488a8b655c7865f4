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
from fmnist_tui.sweeps import trial_states as states
from fmnist_tui.sweeps.space import Value
from fmnist_tui.sweeps.spec import SweepSpec, parse, to_toml
from fmnist_tui.sweeps.storage import StorageLocation, exclusive, storage_errors
from fmnist_tui.sweeps.trial_states import AlreadyEndedError, trial_end, trial_worker
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

HEARTBEAT_SECONDS = 15.0
# Settings whose workers died this often are not tried again: they may be the cause.
MAX_ATTEMPTS = 3
# Optuna has no other states of trials that have ended; the rest fail.
_OPTUNA_STATES = {
    states.COMPLETE: TrialState.COMPLETE,
    states.PRUNED: TrialState.PRUNED,
    states.KILLED: TrialState.PRUNED,
}


@dataclass(frozen=True, slots=True)
class ClaimedTrial:
    """A trial that this worker runs."""

    number: int
    params: Mapping[str, Value]
    trial: optuna.Trial = field(repr=False)
    started_at: float


@dataclass(frozen=True, slots=True)
class StudyCounts:
    """Trials that exist, ended, wait, and ended complete or pruned; the best value; the trials
    that a group of workers has taken, and those of them that have ended."""

    total: int
    ended: int
    waiting: int
    successful: int
    best: float | None
    of_group: int
    ended_of_group: int


class StudyLedger:
    """The study of a sweep, for one worker. Storage failures are UserErrors."""

    def __init__(
        self, location: StorageLocation, storage: BaseStorage, study: optuna.Study, spec: SweepSpec
    ) -> None:
        self.location, self._storage, self.study, self.spec = location, storage, study, spec
        self._distributions = sampling.build_distributions(spec)
        # By trial number: the last heartbeat seen, and when it was first seen.
        self._heartbeats: dict[int, tuple[object, float]] = {}
        self._requeued: set[int] = set()
        with _storage_errors(location):
            self._stop_count = study.user_attrs.get(states.STOP, 0)

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
            if states.SPEC not in study.user_attrs and not study.get_trials(deepcopy=False):
                study.set_user_attr(states.SPEC, to_toml(spec))
        differences = spec.differences(read_spec(study, location))
        if differences:
            raise UserError(
                f"the study {safe_text(spec.name)} in {location.name} has other settings"
                f" ({safe_text('; '.join(differences), 200)}): choose another --name"
            )
        return cls(location, storage, study, spec)

    def counts(self, group: str = "") -> StudyCounts:
        """The progress of the study, all workers together, and that of a group of workers."""
        with _storage_errors(self.location):
            trials = self.study.get_trials(deepcopy=False)
        values = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
        # The settings of requeued trials are tried again by others.
        effective = [t for t in trials if trial_end(t).get("as") not in states.REQUEUED]
        of_group = [t for t in effective if trial_worker(t).get(states.GROUP) == group]
        return StudyCounts(
            total=len(effective),
            ended=sum(trial.state.is_finished() for trial in effective),
            waiting=sum(trial.state == TrialState.WAITING for trial in trials),
            successful=sum(
                trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials
            ),
            best=max((value for value in values if value is not None), default=None),
            of_group=len(of_group),
            ended_of_group=sum(trial.state.is_finished() for trial in of_group),
        )

    def has_room(self, counts: StudyCounts, limit: int | None) -> bool:
        """Whether there is a trial to run: a waiting one, or a new one below `limit`."""
        if self._is_grid:
            limit = min(filter(None, (self.spec.grid_size(), limit)))
        return bool(counts.waiting) or limit is None or counts.total < limit

    @property
    def _is_grid(self) -> bool:
        return self.spec.sampler == "grid"

    def count_missing(self, wanted: int | None) -> int:
        """How many trials there are to run: as many as `wanted`, or as the study still needs."""
        counts = self.counts()

        def room(total: int) -> int:
            return counts.waiting + max(0, total - counts.total)

        missing = room(self.spec.trials) if wanted is None else wanted
        return min(missing, room(self.spec.grid_size() or 0)) if self._is_grid else missing

    def claim(self, sweep_folder: str = "", group: str = "") -> ClaimedTrial:
        """The next trial: a waiting one, else a new one, for this worker's run and its group."""
        with _storage_errors(self.location):
            with exclusive(self.location):
                trial = self.study.ask(self._distributions)
                now = time.time()
                worker = {**_this_process(), "began": now}
                worker |= {states.SWEEP: sweep_folder, states.GROUP: group}
                trial.set_user_attr(states.WORKER, worker)
            trial.set_user_attr(states.HEARTBEAT, now)
        return ClaimedTrial(
            trial.number, sampling.typed_params(trial.params, self.spec), trial, now
        )

    def has_same_images(self, digests: Mapping[str, str]) -> bool:
        """Whether these are the images of the study's first trial, by a digest of each split."""
        with _storage_errors(self.location), exclusive(self.location):
            first = self.study.user_attrs.get(states.IMAGES)
            if first is None:
                self.study.set_user_attr(states.IMAGES, dict(digests))
            return first is None or first == digests

    def record_run(self, claimed: ClaimedTrial, run: str) -> None:
        """Store the path of the trial's run folder."""
        with _storage_errors(self.location):
            claimed.trial.set_user_attr(states.RUN, run)

    def report(self, claimed: ClaimedTrial, epoch: int, value: float) -> bool:
        """Report the value of an epoch; returns whether the trial should be pruned."""
        with _storage_errors(self.location):
            claimed.trial.report(value, epoch)
            return bool(claimed.trial.should_prune())

    def send_heartbeat(self, claimed: ClaimedTrial) -> None:
        with _storage_errors(self.location):
            claimed.trial.set_user_attr(states.HEARTBEAT, time.time())

    def read_requests(self, claimed: ClaimedTrial | None) -> tuple[bool, bool]:
        """Whether the trial is to be killed, and whether the workers are to stop."""
        with _storage_errors(self.location):
            attributes = self.study.user_attrs
        killed = claimed is not None and f"{states.KILL}{claimed.number}" in attributes
        return killed, attributes.get(states.STOP, 0) != self._stop_count

    def end(
        self, claimed: ClaimedTrial, state: str, value: float | None = None, why: str = ""
    ) -> None:
        """End it in a state of `trial_states`; `value` is the result of a complete one."""
        optuna_state = _OPTUNA_STATES.get(state, TrialState.FAIL)
        # Recorded only where Optuna's state does not tell it.
        recorded = "" if state in (states.COMPLETE, states.PRUNED) else state
        seconds = round(time.time() - claimed.started_at, 1)
        end = {"as": recorded, "why": why, "seconds": seconds}
        result = value if state == states.COMPLETE else None
        with _storage_errors(self.location):
            claimed.trial.set_user_attr(states.END, end)
            self.study.tell(claimed.trial, result, state=optuna_state)

    def requeue(self, claimed: ClaimedTrial, why: str) -> None:
        """End it as stopped and queue its settings again, for any worker."""
        with _storage_errors(self.location), exclusive(self.location):
            # Retried after a storage failure in between: only the missing part is done then.
            if claimed.number not in self._requeued:
                self.end(claimed, states.STOPPED, why=why)
                self._requeued.add(claimed.number)
            attempt = claimed.trial.user_attrs.get(states.ATTEMPT, 1)
            _enqueue(self.study, claimed.number, claimed.params, attempt)

    def recover(self) -> list[int]:
        """End the trials whose worker died and queue their settings again; their numbers."""
        recovered = []
        with _storage_errors(self.location):
            with exclusive(self.location):
                trials = self.study.get_trials(deepcopy=False)
                if self.location.is_sqlite:
                    self._queue_forgotten(trials)
            for trial in trials:
                if trial.state == TrialState.RUNNING and self._is_lost(trial):
                    with contextlib.suppress(AlreadyEndedError):
                        end_lost_trial(self.study, self._storage, self.location, trial)
                        recovered.append(trial.number)
        return recovered

    def _queue_forgotten(self, trials: Sequence[FrozenTrial]) -> None:
        """Queue the settings of trials whose worker died after it had ended them and before it
        could do so itself. The lock must be held: a living worker does both under it."""
        retried = {trial.user_attrs.get(states.RETRY_OF) for trial in trials}
        for trial in trials:
            end = trial_end(trial).get("as") if trial.state.is_finished() else None
            if end in states.REQUEUED and trial.number not in retried:
                attempt = int(trial.user_attrs.get(states.ATTEMPT, 1))
                attempt += end == states.LOST
                _enqueue(self.study, trial.number, _chosen_params(trial), attempt)

    def _is_lost(self, trial: FrozenTrial) -> bool:
        if is_worker_dead(trial):
            return True
        if self.location.is_sqlite and not trial_worker(trial):
            # A trial gets its worker under the lock under which this one was read.
            return True
        # Measured by this machine's clock alone: the clocks of others may differ.
        heartbeat, now = trial.user_attrs.get(states.HEARTBEAT), time.monotonic()
        last, since = self._heartbeats.get(trial.number, (None, now))
        if trial.number not in self._heartbeats or last != heartbeat:
            self._heartbeats[trial.number] = heartbeat, now
            return False
        return now - since > states.LOST_SECONDS


def read_spec(study: optuna.Study, location: StorageLocation) -> SweepSpec:
    """The sweep spec that a study was created with."""
    with _storage_errors(location):
        text = study.user_attrs.get(states.SPEC)
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
    has cost too many workers. AlreadyEndedError if another process ended it first."""
    attempt = int(trial.user_attrs.get(states.ATTEMPT, 1))
    is_last = attempt >= MAX_ATTEMPTS
    why = f"its worker died, after {attempt - 1} others" if is_last else "its worker died"
    state = states.KILLED if killed else states.FAILED if is_last else states.LOST
    heartbeat, started = trial.user_attrs.get(states.HEARTBEAT), trial_worker(trial).get("began")
    seconds = None
    if isinstance(heartbeat, float) and isinstance(started, float) and heartbeat > started:
        seconds = round(heartbeat - started, 1)
    with _storage_errors(location), exclusive(location):
        # Several processes may write this attribute at once, but only one can end the trial.
        study_id = storage.get_study_id_from_name(study.study_name)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        storage.set_trial_user_attr(
            trial_id, states.END, {"as": state, "why": why, "seconds": seconds}
        )
        study.tell(trial.number, state=TrialState.FAIL)
        if state == states.LOST:
            _enqueue(study, trial.number, _chosen_params(trial), attempt + 1)


def is_worker_dead(trial: FrozenTrial) -> bool:
    """Whether a trial's worker was a process of this machine that no longer exists."""
    worker, this_process = trial_worker(trial), _this_process()
    if any(worker.get(key) != this_process[key] for key in ("host", "space")):
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


def _chosen_params(trial: FrozenTrial) -> Mapping[str, Any]:
    """The settings of a trial; none if its worker died while it chose them."""
    queued: Mapping[str, Any] = trial.system_attrs.get("fixed_params", {})
    return queued or (trial.params if trial_worker(trial) else {})


def _enqueue(study: optuna.Study, number: int, params: Mapping[str, Any], attempt: int) -> None:
    if params:
        study.enqueue_trial(
            dict(params), user_attrs={states.RETRY_OF: number, states.ATTEMPT: attempt}
        )


@contextlib.contextmanager
def _storage_errors(location: StorageLocation) -> Iterator[None]:
    """Also translate both errors by which Optuna reports that a trial has already ended."""
    with storage_errors(location):
        try:
            yield
        except (UpdateFinishedTrialError, ValueError) as error:
            if isinstance(error, ValueError) and "Cannot tell" not in str(error):
                raise
            raise AlreadyEndedError from error

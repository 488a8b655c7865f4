"""A study at one moment as plain values, for screens, tables and JSON.

Optuna is imported when a study is read. Reading takes a moment: screens do it in a thread.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.space import Value
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.sweeps.storage import StorageLocation, connect, storage_errors
from fmnist_tui.sweeps.trial_states import COMPLETE, FAILED, REQUEUED, RUNNING, STATES, WAITING
from fmnist_tui.util.errors import UserError, did_you_mean
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

# With fewer complete trials, importances are chance.
MIN_IMPORTANCE_TRIALS = 10
NONE_COMPLETE = "no trial is complete yet"


@dataclass(frozen=True, slots=True)
class TrialView:
    """A trial. `curve` is its validation accuracy by epoch, as its training measured it; `value`
    that of its evaluation if it is complete, otherwise the best of the curve;
    `retry_of` is the number of the trial whose settings it repeats, `silent_seconds` the time
    since the last heartbeat of a running one, `share` what is done of its training, if its run
    is on this machine."""

    number: int
    state: str
    value: float | None = None
    params: Mapping[str, Value] = field(default_factory=dict)
    curve: tuple[tuple[int, float], ...] = ()
    seconds: float | None = None
    run: str = ""
    host: str = ""
    pid: int = 0
    why: str = ""
    retry_of: int | None = None
    silent_seconds: float = 0.0
    share: float | None = None

    @property
    def epochs(self) -> int:
        return self.curve[-1][0] if self.curve else 0

    @property
    def is_silent(self) -> bool:
        """Whether it is running but has had no heartbeat for long: its worker may be dead."""
        return self.silent_seconds > trial_states.LOST_SECONDS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A study and its trials by number."""

    name: str
    spec: SweepSpec
    trials: tuple[TrialView, ...] = ()

    @property
    def best(self) -> TrialView | None:
        complete = [trial for trial in self.trials if trial.state == COMPLETE]
        return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)

    @property
    def complete(self) -> int:
        return sum(trial.state == COMPLETE for trial in self.trials)

    @property
    def done(self) -> int:
        """How many trials have ended, requeued ones not counted."""
        return sum(trial.state not in (RUNNING, WAITING, *REQUEUED) for trial in self.trials)

    @property
    def total(self) -> int:
        """How many trials are planned."""
        return max(self.spec.trials, sum(trial.state not in REQUEUED for trial in self.trials))

    @property
    def why_no_best(self) -> str:
        """Why no trial is the best, in words."""
        if not self.done:
            return NONE_COMPLETE
        return f"{self.done} of {self.total} trials have ended, none of them complete"

    @property
    def running(self) -> int:
        return sum(trial.state == RUNNING for trial in self.trials)

    def trial(self, number: int) -> TrialView | None:
        return next((trial for trial in self.trials if trial.number == number), None)

    def best_so_far(self) -> tuple[tuple[int, float], ...]:
        """The best value by trial number, as the corners of a step curve."""
        points: list[tuple[int, float]] = []
        for trial in self.trials:
            if trial.state == COMPLETE and trial.value is not None:
                best = points[-1][1] if points else trial.value
                points.append((trial.number, best))
                if trial.value > best:
                    points.append((trial.number, trial.value))
        return tuple(points)


def too_few_trials(study: Snapshot) -> str:
    """Why the importances of a study are not shown."""
    return f"too few trials ({study.complete} of {MIN_IMPORTANCE_TRIALS})"


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study in a list; `error` says why nothing else is known of it."""

    name: str
    location: StorageLocation
    done: int = 0
    running: int = 0
    total: int = 0
    best: float | None = None
    error: str = ""


class SnapshotReader:
    """Reads studies of several locations again and again, one thread at a time.

    Opened storages are kept, so ended trials are read only once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._storages: dict[str, BaseStorage] = {}
        self._studies: dict[tuple[str, str], tuple[Study, SweepSpec]] = {}
        # With the number of complete trials that they were computed from.
        self._importances: dict[tuple[str, str], tuple[int, tuple[tuple[str, float], ...]]] = {}

    def list_studies(self, location: StorageLocation) -> list[StudySummary]:
        """The sweeps stored there, newest first; none if the file does not exist yet."""
        with self._lock:
            if location.is_missing:
                self._forget(location)
                return []
            with self._errors(location):
                studies = self._storage(location).get_all_studies()
            return [self._summary(location, study.study_name) for study in reversed(studies)]

    def read(self, location: StorageLocation, name: str) -> Snapshot:
        """The study as it is now; a UserError if there is none of that name."""
        with self._lock:
            return self._read(location, name)

    def importances(self, location: StorageLocation, name: str) -> tuple[tuple[str, float], ...]:
        """The share of each setting in the differences between values, largest first.

        Computed again only when more trials are complete; empty below `MIN_IMPORTANCE_TRIALS`."""
        with self._lock:
            complete = self._read(location, name).complete
            key = location.public_url, name
            cached = self._importances.get(key)
            if cached is None or cached[0] != complete:
                with self._errors(location):
                    cached = complete, _importances(self._studies[key][0], complete)
                self._importances[key] = cached
            return cached[1]

    def open_study(self, location: StorageLocation, name: str) -> tuple[Study, BaseStorage]:
        """Optuna's own objects, for code that changes the study."""
        with self._lock:
            self._read(location, name)
            return self._studies[location.public_url, name][0], self._storage(location)

    # The methods below are called with the lock held.

    def _storage(self, location: StorageLocation) -> BaseStorage:
        if location.public_url not in self._storages:
            self._storages[location.public_url] = connect(location)
        return self._storages[location.public_url]

    def _errors(self, location: StorageLocation) -> AbstractContextManager[None]:
        return storage_errors(location, lambda: self._forget(location))

    def _forget(self, location: StorageLocation) -> None:
        url = location.public_url
        self._storages.pop(url, None)
        self._studies = {key: study for key, study in self._studies.items() if key[0] != url}

    def _summary(self, location: StorageLocation, name: str) -> StudySummary:
        try:
            snapshot = self._read(location, name)
        except UserError as error:
            return StudySummary(name, location, error=str(error).splitlines()[0])
        best = snapshot.best.value if snapshot.best else None
        return StudySummary(name, location, snapshot.done, snapshot.running, snapshot.total, best)

    def _read(self, location: StorageLocation, name: str) -> Snapshot:
        if location.is_missing:
            self._forget(location)
            raise UserError(f"there is no study {name!r}: {location.name} does not exist")
        with self._errors(location):
            key = location.public_url, name
            if key not in self._studies:
                self._studies[key] = _load_study(self._storage(location), location, name)
            study, spec = self._studies[key]
            now = time.time()
            trials = study.get_trials(deepcopy=False)
            return Snapshot(name, spec, tuple(_trial_view(trial, spec, now) for trial in trials))


def _load_study(
    storage: BaseStorage, location: StorageLocation, name: str
) -> tuple[Study, SweepSpec]:
    import optuna

    from fmnist_tui.sweeps.study import read_spec

    names = [study.study_name for study in storage.get_all_studies()]
    if name not in names:
        hint = did_you_mean(name, names) or "; `fmnist-tui sweep list` shows them"
        raise UserError(f"there is no study {safe_text(name, 80)} in {location.name}{hint}")
    study = optuna.load_study(study_name=name, storage=storage)
    return study, read_spec(study, location)


def _trial_view(trial: FrozenTrial, spec: SweepSpec, now: float) -> TrialView:
    from fmnist_tui.sweeps.sampling import typed_params

    end, worker = trial_states.trial_end(trial), trial_states.trial_worker(trial)
    attributes, reported = trial.user_attrs, sorted(trial.intermediate_values.items())
    curve = tuple((int(step), float(value)) for step, value in reported if math.isfinite(value))
    state = str(end.get("as") or _STATES_OF_OPTUNA.get(trial.state.name, FAILED))
    best = max((value for _, value in curve), default=None)
    value = _number(trial.value) if state == COMPLETE else best
    is_running = state == RUNNING
    heartbeat = _number(attributes.get(trial_states.HEARTBEAT))
    started = _number(worker.get("began"))
    seconds = _number(end.get("seconds"))
    if is_running and started is not None:
        seconds = max(0.0, now - started)
    retry_of = attributes.get(trial_states.RETRY_OF)
    params = trial.params or trial.system_attrs.get("fixed_params", {})
    return TrialView(
        number=trial.number,
        state=state if state in STATES else FAILED,
        value=value,
        params=typed_params(params, spec),
        curve=curve,
        seconds=seconds,
        run=str(attributes.get(trial_states.RUN, "")),
        host=str(worker.get("host", "")),
        pid=int(_number(worker.get("pid")) or 0),
        why=str(end.get("why", "")),
        retry_of=retry_of if isinstance(retry_of, int) else None,
        silent_seconds=max(0.0, now - heartbeat) if is_running and heartbeat is not None else 0.0,
    )


_STATES_OF_OPTUNA = {
    "WAITING": WAITING,
    "RUNNING": RUNNING,
    "COMPLETE": COMPLETE,
    "PRUNED": trial_states.PRUNED,
    "FAIL": FAILED,
}


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _importances(study: Study, complete: int) -> tuple[tuple[str, float], ...]:
    if complete < MIN_IMPORTANCE_TRIALS:
        return ()
    from optuna.importance import get_param_importances

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = get_param_importances(study)
    except (ValueError, RuntimeError, ZeroDivisionError):
        # All values are equal, or a setting never varied.
        return ()
    valid = [(key, float(share)) for key, share in shares.items() if share == share]
    return tuple(sorted(valid, key=lambda pair: -pair[1]))

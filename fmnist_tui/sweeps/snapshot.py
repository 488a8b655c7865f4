"""A study at a moment, as plain values: for screens, tables and JSON.

Optuna is imported when a study is read. Reading takes a moment: screens do it in a thread.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fmnist_tui.sweeps.space import Value
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.sweeps.storage import StudyStorage, connect, trouble
from fmnist_tui.util.errors import UserError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

WAITING, RUNNING, COMPLETE, PRUNED = "waiting", "running", "complete", "pruned"
KILLED, FAILED, STOPPED, LOST = "killed", "failed", "stopped", "lost"
# In the order in which a list sorted by state has them.
STATES = (RUNNING, WAITING, COMPLETE, PRUNED, KILLED, FAILED, STOPPED, LOST)
# Ended without a result, their settings put back to be tried again.
GIVEN_BACK = (STOPPED, LOST)


@dataclass(frozen=True, slots=True)
class TrialView:
    """A trial. `curve` is its validation accuracy by epoch, `value` the best of that;
    `again` is the number of the trial whose settings it tries again, `quiet` for how long
    a running one has given no sign of life."""

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
    again: int | None = None
    quiet: float = 0.0

    @property
    def epochs(self) -> int:
        return self.curve[-1][0] if self.curve else 0

    @property
    def counts(self) -> bool:
        """Whether it stands: one that was given back is done again by another."""
        return self.state not in GIVEN_BACK


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A study and its trials by number."""

    name: str
    spec: SweepSpec
    trials: tuple[TrialView, ...] = ()

    @property
    def best(self) -> TrialView | None:
        """The best of the trials that were done to their end."""
        done = [trial for trial in self.trials if trial.state == COMPLETE]
        return max(done, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)

    @property
    def done(self) -> int:
        """How many trials have ended for good."""
        return sum(trial.counts and trial.state not in (RUNNING, WAITING) for trial in self.trials)

    @property
    def total(self) -> int:
        """How many there are to be, as far as anybody knows."""
        return max(self.spec.trials, sum(trial.counts for trial in self.trials))

    @property
    def running(self) -> int:
        return sum(trial.state == RUNNING for trial in self.trials)

    def trial(self, number: int) -> TrialView | None:
        return next((trial for trial in self.trials if trial.number == number), None)

    def so_far(self) -> tuple[tuple[int, float], ...]:
        """The best value by the number of the trial that raised it, in steps, up to the last
        one that is complete."""
        found: list[tuple[int, float]] = []
        for trial in self.trials:
            if trial.state == COMPLETE and trial.value is not None:
                before = found[-1][1] if found else trial.value
                found.append((trial.number, before))
                if trial.value > before:
                    found.append((trial.number, trial.value))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A study in a list; `trouble` says why there is no more to say of it."""

    name: str
    place: StudyStorage
    done: int = 0
    running: int = 0
    total: int = 0
    best: float | None = None
    trouble: str = ""


class SnapshotReader:
    """Studies of several places, read again and again. One thread reads at a time.

    What has been opened is kept: trials that have ended are read once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._storages: dict[str, BaseStorage] = {}
        self._studies: dict[tuple[str, str], tuple[Study, SweepSpec]] = {}
        self._shares: dict[tuple[str, str], tuple[int, tuple[tuple[str, float], ...]]] = {}

    def studies(self, where: StudyStorage) -> list[StudyLine]:
        """The sweeps kept there, newest first; none where there is no such file yet."""
        with self._lock:
            if where.is_missing:
                self._forget(where)
                return []
            try:
                names = [study.study_name for study in self._storage(where).get_all_studies()]
            except UserError:
                raise
            except Exception as error:
                self._forget(where)
                raise UserError(trouble(where, error)) from error
            return [self._line(where, name) for name in reversed(names)]

    def look(self, where: StudyStorage, name: str) -> Snapshot:
        """A study as it stands; UserError where there is none of that name."""
        with self._lock:
            return self._look(where, name)

    def importances(self, where: StudyStorage, name: str) -> tuple[tuple[str, float], ...]:
        """How much of what the values differ in is due to each setting, most first.

        Worked out anew only when further trials are complete; empty where nothing can be
        said yet."""
        with self._lock:
            snapshot = self._look(where, name)
            complete = sum(trial.state == COMPLETE for trial in snapshot.trials)
            kept = self._shares.get((where.shown, name))
            if kept is None or kept[0] != complete:
                study, _ = self._studies[where.shown, name]
                try:
                    kept = complete, _importances(study, complete)
                except Exception as error:
                    self._forget(where)
                    raise UserError(trouble(where, error)) from error
                self._shares[where.shown, name] = kept
            return kept[1]

    def study(self, where: StudyStorage, name: str) -> tuple[Study, BaseStorage]:
        """Optuna's own, for those who change something in it."""
        with self._lock:
            self._look(where, name)
            return self._studies[where.shown, name][0], self._storage(where)

    # -- holding the lock ------------------------------------------------------------------

    def _storage(self, where: StudyStorage) -> BaseStorage:
        if where.shown not in self._storages:
            self._storages[where.shown] = connect(where)
        return self._storages[where.shown]

    def _forget(self, where: StudyStorage) -> None:
        self._storages.pop(where.shown, None)
        self._studies = {key: one for key, one in self._studies.items() if key[0] != where.shown}

    def _line(self, where: StudyStorage, name: str) -> StudyLine:
        try:
            snapshot = self._look(where, name)
        except UserError as error:
            return StudyLine(name, where, trouble=str(error).splitlines()[0])
        best = snapshot.best
        return StudyLine(
            name,
            where,
            snapshot.done,
            snapshot.running,
            snapshot.total,
            best.value if best else None,
        )

    def _look(self, where: StudyStorage, name: str) -> Snapshot:
        if where.is_missing:
            self._forget(where)
            raise UserError(f"there is no study {name!r}: {where.name()} is not there")
        try:
            key = where.shown, name
            if key not in self._studies:
                self._studies[key] = _loaded(self._storage(where), where, name)
            study, spec = self._studies[key]
            now = time.time()
            trials = study.get_trials(deepcopy=False)
            return Snapshot(name, spec, tuple(_view(trial, spec, now) for trial in trials))
        except UserError:
            raise
        except Exception as error:
            self._forget(where)
            raise UserError(trouble(where, error)) from error


def _loaded(storage: BaseStorage, where: StudyStorage, name: str) -> tuple[Study, SweepSpec]:
    import optuna

    from fmnist_tui.sweeps import study as studies
    from fmnist_tui.util.errors import near
    from fmnist_tui.util.text import safe_text

    names = [study.study_name for study in storage.get_all_studies()]
    if name not in names:
        hint = near(name, names) or "; `fmnist-tui sweep list` shows them"
        raise UserError(f"there is no study {safe_text(name, 80)} in {where.name()}{hint}")
    study = optuna.load_study(study_name=name, storage=storage)
    return study, studies.spec_of(study, where)


def _view(trial: FrozenTrial, spec: SweepSpec, now: float) -> TrialView:
    from fmnist_tui.sweeps import sampling
    from fmnist_tui.sweeps import study as studies

    end = studies.ending(trial)
    worker = trial.user_attrs.get(studies.WORKER)
    worker = worker if isinstance(worker, dict) else {}
    curve = tuple(
        sorted(
            (int(step), float(value))
            for step, value in trial.intermediate_values.items()
            if math.isfinite(value)
        )
    )
    state = str(end.get("as") or _NAMES.get(trial.state.name, FAILED))
    best = max((value for _, value in curve), default=None)
    value = _number(trial.value) if state == COMPLETE else best
    running = state == RUNNING
    beat = _number(trial.user_attrs.get(studies.BEAT))
    began = _number(worker.get("began"))
    seconds = _number(end.get("seconds"))
    if running and began is not None:
        seconds = max(0.0, now - began)
    again = trial.user_attrs.get(sampling.AGAIN)
    return TrialView(
        number=trial.number,
        state=state if state in STATES else FAILED,
        value=value,
        params=sampling.plain(trial.params or trial.system_attrs.get("fixed_params", {}), spec),
        curve=curve,
        seconds=seconds,
        run=str(trial.user_attrs.get(studies.RUN, "")),
        host=str(worker.get("host", "")),
        pid=int(_number(worker.get("pid")) or 0),
        why=str(end.get("why", "")),
        again=again if isinstance(again, int) else None,
        quiet=max(0.0, now - beat) if running and beat is not None else 0.0,
    )


_NAMES = {
    "WAITING": WAITING,
    "RUNNING": RUNNING,
    "COMPLETE": COMPLETE,
    "PRUNED": PRUNED,
    "FAIL": FAILED,
}


def _number(value: Any) -> float | None:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def _importances(study: Study, complete: int) -> tuple[tuple[str, float], ...]:
    if complete < 2:
        return ()
    from optuna.importance import get_param_importances

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(study)
    except (ValueError, RuntimeError, ZeroDivisionError):
        # Values that are all the same, settings that never differed.
        return ()
    shares = [(key, float(share)) for key, share in found.items() if share == share]
    return tuple(sorted(shares, key=lambda pair: -pair[1]))

"""A study as a worker works on it: trials begun, reported, ended, given back, recovered.

Besides what Optuna keeps, a trial says who does it and gives a sign of life (`beat`) now and
then, which works alike in a database and in a journal; the study holds the sweep's file
(`spec`) and the marks by which trials are killed and workers stopped.

This room imports Optuna; it is itself imported where a study is worked on.
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
from fmnist_tui.sweeps.sampling import AGAIN
from fmnist_tui.sweeps.snapshot import FAILED, GIVEN_BACK, KILLED, LOST, STOPPED
from fmnist_tui.sweeps.space import Value
from fmnist_tui.sweeps.spec import SweepSpec, parse, to_toml
from fmnist_tui.sweeps.storage import StudyStorage, alone, trouble
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

# What a study and a trial say of themselves, in Optuna's user attributes.
SPEC, STOP, KILL = "spec", "stop", "kill:"
WORKER, BEAT, RUN, END, TRIES = "worker", "beat", "run", "end", "tries"
# The folder of the sweep's record, in what a trial says of its worker.
SWEEP = "sweep"

BEAT_SECONDS = 15.0
# A trial of another machine that has given no sign for so long is lost.
GRACE_SECONDS = 60.0
# So often are settings tried whose workers die; they may be what kills them.
MOST_TRIES = 3


class TakenError(Exception):
    """The trial has been ended by somebody else."""


@dataclass(frozen=True, slots=True)
class ClaimedTrial:
    """A trial that this worker does."""

    number: int
    params: Mapping[str, Value]
    trial: optuna.Trial = field(repr=False)
    began: float


@dataclass(frozen=True, slots=True)
class StudyCounts:
    """Trials that were begun or wait, that ended, that wait, that ended well; the best value."""

    begun: int
    ended: int
    waiting: int
    good: int
    best: float | None


class StudyLedger:
    """The study of a sweep, for one worker. A UserError says that the storage failed."""

    def __init__(
        self, where: StudyStorage, storage: BaseStorage, study: optuna.Study, spec: SweepSpec
    ) -> None:
        self.where, self.study, self.spec = where, study, spec
        self._storage = storage
        self._distributions = sampling.distributions(spec)
        self._beats: dict[int, tuple[object, float]] = {}
        self._given_back: set[int] = set()
        with _asking(where):
            self._stops = study.user_attrs.get(STOP, 0)

    @classmethod
    def join(cls, where: StudyStorage, storage: BaseStorage, spec: SweepSpec) -> Self:
        """Begin the study, or work on the one of that name, if it is of the same sweep."""
        with _asking(where), alone(where):
            study = optuna.create_study(
                study_name=spec.name,
                storage=storage,
                sampler=sampling.NumberedSampler(spec),
                pruner=sampling.pruner(spec),
                direction="maximize",
                load_if_exists=True,
            )
            if SPEC not in study.user_attrs and not study.get_trials(deepcopy=False):
                study.set_user_attr(SPEC, to_toml(spec))
        differing = spec.differences(spec_of(study, where))
        if differing:
            raise UserError(
                f"the study {safe_text(spec.name)} in {where.name()} was begun with other settings"
                f" ({safe_text('; '.join(differing), 200)}): give this one another --name"
            )
        return cls(where, storage, study, spec)

    # -- which trial is next ----------------------------------------------------------

    def standing(self) -> StudyCounts:
        """How far the study is, all workers together."""
        with _asking(self.where):
            trials = self.study.get_trials(deepcopy=False)
        complete = [one.value for one in trials if one.state == TrialState.COMPLETE]
        return StudyCounts(
            begun=counted(trials),
            ended=counted([one for one in trials if one.state.is_finished()]),
            waiting=sum(one.state == TrialState.WAITING for one in trials),
            good=sum(one.state in (TrialState.COMPLETE, TrialState.PRUNED) for one in trials),
            best=max(filter(None, complete), default=None),
        )

    def has_room(self, standing: StudyCounts, total: int | None) -> bool:
        """Whether there is a trial to be done: one given back, or a new one below `total`."""
        if self.spec.sampler == "grid":
            total = min(filter(None, (self.spec.points(), total)))
        return bool(standing.waiting) or total is None or standing.begun < total

    def begin(self, folder: str = "") -> ClaimedTrial:
        """The next trial: one that was given back, or else a new one. `folder` is that of
        this worker's record."""
        with _asking(self.where):
            with alone(self.where):
                trial = self.study.ask(self._distributions)
            began = time.time()
            trial.set_user_attr(WORKER, {**_here(), "began": began, SWEEP: folder})
            trial.set_user_attr(BEAT, began)
        return ClaimedTrial(trial.number, sampling.plain(trial.params, self.spec), trial, began)

    # -- while it goes on -------------------------------------------------------------

    def found(self, begun: ClaimedTrial, run: str) -> str:
        """Say in which folder the trial is recorded; gives the folder."""
        with _asking(self.where):
            begun.trial.set_user_attr(RUN, run)
        return run

    def report(self, begun: ClaimedTrial, epoch: int, value: float) -> bool:
        """Say what an epoch came to; whether the trial is not worth going on with."""
        with _asking(self.where):
            begun.trial.report(value, epoch)
            return bool(begun.trial.should_prune())

    def beat(self, begun: ClaimedTrial) -> None:
        """Give a sign of life."""
        with _asking(self.where):
            begun.trial.set_user_attr(BEAT, time.time())

    def marks(self, begun: ClaimedTrial | None) -> tuple[bool, bool]:
        """Whether the trial is to be killed, and whether the workers are to stop."""
        with _asking(self.where):
            said = self.study.user_attrs
        killed = begun is not None and f"{KILL}{begun.number}" in said
        return killed, said.get(STOP, 0) != self._stops

    # -- how it ended -----------------------------------------------------------------

    def complete(self, begun: ClaimedTrial, value: float) -> None:
        self._end(begun, TrialState.COMPLETE, value)

    def prune(self, begun: ClaimedTrial, why: str = "", *, killed: bool = False) -> None:
        """It was given up for others that are better, or killed by somebody."""
        self._end(begun, TrialState.PRUNED, said=KILLED if killed else "", why=why)

    def fail(self, begun: ClaimedTrial, why: str) -> None:
        self._end(begun, TrialState.FAIL, said=FAILED, why=why)

    def give_back(self, begun: ClaimedTrial, why: str) -> None:
        """It was not done to its end: have its settings tried again, here or elsewhere."""
        # Where the storage fails in between this is asked for again: only what is left is done.
        if begun.number not in self._given_back:
            self._end(begun, TrialState.FAIL, said=STOPPED, why=why)
            self._given_back.add(begun.number)
        with _asking(self.where):
            tries = begun.trial.user_attrs.get(TRIES, 1)
            _again(self.study, begun.number, begun.params, tries)

    def _end(
        self,
        begun: ClaimedTrial,
        state: TrialState,
        value: float | None = None,
        *,
        said: str = "",
        why: str = "",
    ) -> None:
        seconds = round(time.time() - begun.began, 1)
        with _asking(self.where):
            begun.trial.set_user_attr(END, {"as": said, "why": why, "seconds": seconds})
            with _ended_by_another():
                self.study.tell(begun.trial, value, state=state)

    # -- trials whose worker is gone -----------------------------------------------------

    def recover(self) -> list[int]:
        """End the trials whose worker has died, and put their settings back; their numbers."""
        found = []
        with _asking(self.where):
            running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            for trial in running:
                if self._is_lost(trial):
                    with contextlib.suppress(TakenError):
                        bury(self.study, self._storage, self.where, trial)
                        found.append(trial.number)
        return found

    def _is_lost(self, trial: FrozenTrial) -> bool:
        if is_gone(trial):
            return True
        # By this machine's own clock alone: those of others may be anywhere.
        beat, now = trial.user_attrs.get(BEAT), time.monotonic()
        seen, since = self._beats.get(trial.number, (None, now))
        if trial.number not in self._beats or seen != beat:
            self._beats[trial.number] = beat, now
            return False
        return now - since > GRACE_SECONDS


def spec_of(study: optuna.Study, where: StudyStorage) -> SweepSpec:
    """The sweep that a study was begun with."""
    with _asking(where):
        text = study.user_attrs.get(SPEC)
    if not isinstance(text, str):
        raise UserError(
            f"the study {safe_text(study.study_name)} in {where.name()} is not of this program"
        )
    return parse(text, f"the study {safe_text(study.study_name)}", study.study_name)


def counted(trials: Sequence[FrozenTrial]) -> int:
    """How many of the trials stand: those given back are done again by others."""
    return sum(ending(trial).get("as") not in GIVEN_BACK for trial in trials)


def ending(trial: FrozenTrial) -> Mapping[str, Any]:
    """What was said of a trial's end: `as`, `why`, `seconds`."""
    said = trial.user_attrs.get(END)
    ended = trial.state.is_finished() and isinstance(said, dict)
    return said if ended and isinstance(said, dict) else {}


def bury(
    study: optuna.Study,
    storage: BaseStorage,
    where: StudyStorage,
    trial: FrozenTrial,
    *,
    killed: bool = False,
) -> None:
    """End a trial whose worker has died. Its settings are put back, unless it was killed or
    has cost too many workers already. TakenError where somebody else was quicker."""
    tries = int(trial.user_attrs.get(TRIES, 1))
    hopeless = tries >= MOST_TRIES
    why = f"its worker died, as {tries - 1} before it" if hopeless else "its worker died"
    said = KILLED if killed else FAILED if hopeless else LOST
    beat = trial.user_attrs.get(BEAT)
    began = _worker(trial).get("began")
    seconds = None
    if isinstance(beat, float) and isinstance(began, float) and beat > began:
        seconds = round(beat - began, 1)
    said_of_it = {"as": said, "why": why, "seconds": seconds}
    with alone(where), _ended_by_another():
        # Of several who find it at once all may say so, but only one can end it.
        study_id = storage.get_study_id_from_name(study.study_name)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        storage.set_trial_user_attr(trial_id, END, said_of_it)
        study.tell(trial.number, state=TrialState.FAIL)
    if said == LOST:
        _again(study, trial.number, trial.params, tries + 1)


def is_gone(trial: FrozenTrial) -> bool:
    """Whether the process that does a trial was one of this machine and is no more."""
    worker, here = _worker(trial), _here()
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


def _worker(trial: FrozenTrial) -> Mapping[str, Any]:
    said = trial.user_attrs.get(WORKER)
    return said if isinstance(said, dict) else {}


def _here() -> dict[str, Any]:
    """This process. Containers may share a host's name, but not its process numbers."""
    space = ""
    with contextlib.suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return {"host": socket.gethostname(), "pid": os.getpid(), "space": space}


def _again(study: optuna.Study, number: int, params: Mapping[str, Any], tries: int) -> None:
    if params:
        study.enqueue_trial(dict(params), user_attrs={AGAIN: number, TRIES: tries})


@contextlib.contextmanager
def _ended_by_another() -> Iterator[None]:
    """Optuna says in two ways that a trial is no longer there to be ended."""
    try:
        yield
    except UpdateFinishedTrialError as error:
        raise TakenError from error
    except ValueError as error:
        if "Cannot tell" in str(error):
            raise TakenError from error
        raise


@contextlib.contextmanager
def _asking(where: StudyStorage) -> Iterator[None]:
    """Whatever a database, its driver or a disk has against it becomes one line."""
    try:
        yield
    except (UserError, TakenError):
        raise
    except UpdateFinishedTrialError as error:
        raise TakenError from error
    except Exception as error:
        raise UserError(trouble(where, error)) from error

"""Telling the workers of a study something, from whatever process: kill a trial, stop.

The word goes into the storage, where every worker looks once an epoch, and where the trial's
or the sweep's folder can be reached from here also there, which is quicker.

This room imports Optuna; it is itself imported where a study is worked on.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from fmnist_tui.protocol.commands import Stop
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.log import CommandBox
from fmnist_tui.sweeps import study as studies
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.storage import StudyStorage, trouble
from fmnist_tui.sweeps.study import KILL, RUN, STOP, SWEEP, WORKER, TakenError
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

WHY_KILLED = "killed"


def kill(reader: SnapshotReader, where: StudyStorage, name: str, number: int) -> str:
    """Have a running trial ended; what that came to, in words."""
    study, storage = reader.study(where, name)
    try:
        return _kill(study, storage, where, number)
    except (UserError, TakenError):
        raise
    except Exception as error:
        raise UserError(trouble(where, error)) from error


def _kill(study: optuna.Study, storage: BaseStorage, where: StudyStorage, number: int) -> str:
    trials = study.get_trials(deepcopy=False)
    trial = next((one for one in trials if one.number == number), None)
    called = f"trial {number} of {safe_text(study.study_name)}"
    if trial is None:
        raise UserError(f"there is no {called}: it has {len(trials):,}")
    if trial.state != TrialState.RUNNING:
        raise UserError(f"{called} is not going on: it is {trial.state.name.lower()}")
    if studies.is_gone(trial):
        with contextlib.suppress(TakenError):
            studies.bury(study, storage, where, trial, killed=True)
        return f"{called}: its worker was dead already, it is ended now"
    study.set_user_attr(f"{KILL}{number}", time.time())
    _told(str(trial.user_attrs.get(RUN, "")), WHY_KILLED)
    return f"{called}: told to end"


def stop(reader: SnapshotReader, where: StudyStorage, name: str) -> int:
    """Have all workers of a study stop; how many trials are going on."""
    study, _ = reader.study(where, name)
    try:
        study.set_user_attr(STOP, int(study.user_attrs.get(STOP, 0)) + 1)
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    except Exception as error:
        raise UserError(trouble(where, error)) from error
    for trial in running:
        worker = trial.user_attrs.get(WORKER)
        if isinstance(worker, dict):
            _told(str(worker.get(SWEEP, "")), "stopped")
    return len(running)


def _told(path: str, why: str) -> None:
    """Tell the run in a folder to stop, if it is one of this machine's."""
    with contextlib.suppress(UserError, OSError, ValueError):
        if path:
            CommandBox.send(RunFolder.open(Path(path)), Stop(time.time(), why))

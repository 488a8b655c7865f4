"""Kill a trial or stop the workers of a study, from any process.

The request goes into the storage, where every worker looks once an epoch, and also into the
folder of the trial or sweep if it is on this machine, which is faster.

Imports Optuna, so it is itself imported only where a study is worked on.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from optuna.trial import TrialState

from fmnist_tui.protocol.commands import Stop
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.log import send_command
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.storage import StorageLocation, storage_errors
from fmnist_tui.sweeps.study import end_lost_trial, is_worker_dead
from fmnist_tui.sweeps.trial_states import KILL, RUN, STOP, SWEEP, AlreadyEndedError, trial_worker
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


def kill(reader: SnapshotReader, location: StorageLocation, name: str, number: int) -> str:
    """End a running trial; returns a message with the result."""
    study, storage = reader.open_study(location, name)
    title = f"trial {number} of {safe_text(name)}"
    with storage_errors(location):
        trials = study.get_trials(deepcopy=False)
        trial = next((trial for trial in trials if trial.number == number), None)
        if trial is None:
            raise UserError(f"there is no {title}: it has {len(trials):,}")
        if trial.state != TrialState.RUNNING:
            raise UserError(f"{title} is not running: it is {trial.state.name.lower()}")
        if is_worker_dead(trial):
            with contextlib.suppress(AlreadyEndedError):
                end_lost_trial(study, storage, location, trial, killed=True)
            return f"{title}: its worker process was dead; the trial is now ended"
        study.set_user_attr(f"{KILL}{number}", time.time())
    _send_stop(str(trial.user_attrs.get(RUN, "")), "killed")
    return f"{title}: kill requested"


def stop(reader: SnapshotReader, location: StorageLocation, name: str) -> int:
    """Stop all workers of a study; returns how many trials are running."""
    study, _ = reader.open_study(location, name)
    with storage_errors(location):
        study.set_user_attr(STOP, int(study.user_attrs.get(STOP, 0)) + 1)
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        _send_stop(str(trial_worker(trial).get(SWEEP, "")), "stopped")
    return len(running)


def _send_stop(path: str, why: str) -> None:
    """Tell the run in a folder to stop, if the folder is on this machine."""
    with contextlib.suppress(UserError, OSError, ValueError):
        if path:
            send_command(RunFolder.open(Path(path)), Stop(time.time(), why))

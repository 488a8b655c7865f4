"""The states of a trial, and the attributes in which a study keeps what Optuna has no field for.

Workers write them (`study`), screens read them (`snapshot`). Needs no Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

WAITING, RUNNING, COMPLETE, PRUNED = "waiting", "running", "complete", "pruned"
KILLED, FAILED, STOPPED, LOST = "killed", "failed", "stopped", "lost"
# In the order of a list sorted by state.
STATES = (RUNNING, WAITING, COMPLETE, PRUNED, KILLED, FAILED, STOPPED, LOST)
# Ended without a result; their settings are queued again.
REQUEUED = (STOPPED, LOST)
# A trial without a heartbeat for this long is lost: its worker has probably died.
LOST_SECONDS = 60.0
LOST_WORKER = "trial {} lost its worker: its settings will be tried again"

# User attributes of a study: the sweep file, what identifies the images of its first trial, a
# counter of stop requests, a time for each kill.
SPEC, IMAGES, STOP, KILL = "spec", "images", "stop", "kill:"
# User attributes of a trial; RETRY_OF is the number of the trial whose settings it repeats.
WORKER, HEARTBEAT, RUN, END, ATTEMPT, RETRY_OF = "worker", "beat", "run", "end", "tries", "again"
# In WORKER: the folder of the sweep run that the trial belongs to, and the workers that share it
# out among them, if it is one of several that were started together.
SWEEP, GROUP = "sweep", "group"


class AlreadyEndedError(Exception):
    """Another process has ended the trial."""


def trial_worker(trial: FrozenTrial) -> Mapping[str, Any]:
    """The process that runs a trial: `host`, `pid`, `space`, `began`, `sweep` and `group`."""
    worker = trial.user_attrs.get(WORKER)
    return worker if isinstance(worker, dict) else {}


def trial_end(trial: FrozenTrial) -> Mapping[str, Any]:
    """What a worker recorded at a trial's end: `as`, `why` and `seconds`."""
    end = trial.user_attrs.get(END)
    return end if trial.state.is_finished() and isinstance(end, dict) else {}

"""Events of a run, in the order in which they are emitted.

Every event has `t`, seconds since 1970 by the trainer's clock. A run's `events.jsonl`
holds one event per line; screens and reports rebuild everything they show from these
lines alone (see `run_state.RunState`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from fmnist_tui.protocol.json_codec import JsonCodec

FINISHED, STOPPED, DETACHED, FAILED = "finished", "stopped", "detached", "failed"
# Beginnings of the Alert at the end of a run with frozen parts.
FROZEN_KEPT, FROZEN_CHANGED = "frozen parts unchanged", "frozen parts changed"
# Beginning of the message of a training that failed because it diverged.
LOSS_NOT_FINITE = "the loss stopped being a number"
WEIGHTS_NOT_FINITE = "the weights stopped being numbers"
# What a Changed tells of the number of CPU threads.
THREADS = "threads"
# What a Changed tells when a new best could not be saved: `value` is the epoch that is the best.
BEST_EPOCH = "best"
TRAIN, LRFIND, ENSEMBLE, SWEEP = "train", "lrfind", "ensemble", "sweep"


def run_title(kind: str, recipe: str) -> str:
    """The title of a run: its recipe, after its kind if that is not training."""
    return recipe if kind in (TRAIN, recipe) else f"{kind} {recipe}"


def format_threads(threads: int, cpus: int) -> str:
    """`2 threads`, or `1 of 2 threads`."""
    of = f"{threads} of {cpus}" if threads < cpus else f"{threads}"
    return f"{of} thread{'s' if max(threads, cpus) > 1 else ''}"


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A process starts a run, or resumes it at `step`; `kind` is train, lrfind, ensemble or
    sweep.

    The probes of a learning-rate search are the steps of its only epoch. `best_step` is the step
    of the best checkpoint that a resumed run goes on with, 0 if it has none: bests of later steps
    belong to steps that are trained again; `changed_settings` says in words which settings it
    goes on with instead of others. `processes` train it together. On a CPU, `threads` is the
    number of threads that it starts with, of `cpus`. `run_seconds`, `warm_seconds` and
    `train_seconds` are the wall time of the run, its warm wall time (from the first step to usable
    weights, see `RunClock`) and the time in its training steps so far, of all sessions; here and
    below they are None in events of earlier versions.
    """

    t: float
    run: str
    recipe: str
    dataset: str
    model: str
    parameters: int
    device: str
    device_name: str
    precision: str
    seed: int
    epochs: int
    steps_per_epoch: int
    batch_size: int
    train_count: int
    val_count: int
    test_count: int
    classes: tuple[str, ...]
    synthetic: bool = False
    step: int = 0
    host: str = ""
    pid: int = 0
    version: str = ""
    kind: str = "train"
    threads: int = 0
    cpus: int = 0
    run_seconds: float | None = None
    train_seconds: float | None = None
    best_step: int | None = None
    changed_settings: str = ""
    warm_seconds: float | None = None
    processes: int = 1

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def device_details(self) -> str:
        """The device's name; of a CPU, with the number of threads at the start, and the number of
        processes if there are several."""
        parts = [self.device_name]
        if self.threads:
            parts.append(format_threads(self.threads, self.cpus))
        if self.processes > 1:
            parts.append(f"{self.processes} processes")
        return ", ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of the training; at most ten per second whatever the step rate.

    `loss` and `accuracy` are means over the training images since the last Progress of
    the epoch (`accuracy` is None while labels are mixed). `run_seconds`, `warm_seconds` and
    `train_seconds` are those of the run so far, `epochs` the number that it is to have.
    """

    t: float
    step: int
    epoch: int
    epoch_step: int
    images: int
    loss: float
    accuracy: float | None
    lr: float
    images_per_second: float
    step_ms: float
    wait_ms: float = 0.0
    run_seconds: float | None = None
    train_seconds: float | None = None
    epochs: int = 0
    warm_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """Metrics of an epoch: training and, if there is a validation split, validation, in the
    precision of the training. `seconds` is the time in training steps, `warm_seconds` that of
    the run so far, with the validation of this epoch and the saving of its weights."""

    t: float
    step: int
    epoch: int
    train_loss: float
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    val_count: int
    lr: float
    seconds: float
    images_per_second: float
    best: bool
    warm_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint has been written and synced. `kind` is last, best or step."""

    t: float
    step: int
    epoch: int
    kind: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A property of the run changes at `step`: phase, lr, paused, threads or best.

    `before` is the learning rate that the user has changed. The best epoch changes like this only
    back to an earlier one, or to 0 for none, which ended at `step`."""

    t: float
    step: int
    what: str
    value: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """A message for the user. `level` is note, warning or error."""

    t: float
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Load of the machine; None for what cannot be measured.

    `other_cpus` is how many CPUs other processes use; with `waits_briefly`, threads of this one
    sleep instead of spinning while they wait for each other.
    """

    t: float
    cpu_percent: float | None
    memory_mb: float | None
    gpu_percent: float | None = None
    gpu_memory_mb: float | None = None
    gpu_memory_total_mb: float | None = None
    gpu_watts: float | None = None
    gpu_celsius: float | None = None
    other_cpus: float | None = None
    waits_briefly: bool = False


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Metrics of a checkpoint on a split. Accuracies are fractions.

    `checkpoint` is best or last for what was the run's newest of that kind, otherwise the name of
    its `file`; `sha256` is its hash, empty for files from elsewhere. Old runs tell neither.
    """

    t: float
    step: int
    epoch: int
    checkpoint: str
    split: str
    count: int
    loss: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    ece: float
    confusion: tuple[tuple[int, ...], ...]
    sha256: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Glance:
    """Predictions for a few validation images, the same ones throughout the run.

    `indices` are the positions of up to ten images in the dataset (`Split.indices`): the
    first of each of the first ten classes, then second ones if there are fewer classes.
    `said` is the predicted class and `shares` its probability. `confusion` has a row per
    true class and counts `count` images: all of the split after a validation pass, a
    stratified sample in between. It is empty if there are too many classes to show.
    """

    t: float
    step: int
    epoch: int
    indices: tuple[int, ...]
    labels: tuple[int, ...]
    said: tuple[int, ...]
    shares: tuple[float, ...]
    count: int
    confusion: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class LrProbed:
    """One step of a learning-rate search: probe number `probe` (from 1) of `probes`."""

    t: float
    step: int
    probe: int
    probes: int
    lr: float
    loss: float


@dataclass(frozen=True, slots=True)
class LrSearched:
    """A learning-rate search has ended; `reason` is finished, stopped or failed.

    `lr` is the suggested rate, in a range from `low` to `high`; None if there is no
    suggestion, for the reason in `message`.
    """

    t: float
    step: int
    reason: str
    lr: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial of a sweep has ended, the `done`-th of this process.

    `state` is complete, pruned, killed or failed (with `message`), or stopped or lost if its
    settings are to be tried again; `params` are names and values as text. `best` is the best
    value of the study so far, by any worker.
    """

    t: float
    trial: int
    state: str
    value: float | None
    params: tuple[tuple[str, ...], ...]
    epochs: int
    seconds: float
    done: int
    best: float | None
    run: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The process stops training; `reason` is finished, stopped, detached or failed.

    `seconds` is the wall time of this session, `run_seconds` that of all, `warm_seconds` the warm
    wall time of all."""

    t: float
    step: int
    epoch: int
    reason: str
    seconds: float
    message: str = ""
    run_seconds: float | None = None
    warm_seconds: float | None = None

    @property
    def outcome(self) -> str:
        """The reason, and the message if there is one."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


Event = (
    RunStarted
    | Progress
    | EpochEnded
    | CheckpointSaved
    | Changed
    | Alert
    | Telemetry
    | Evaluated
    | Glance
    | LrProbed
    | LrSearched
    | TrialEnded
    | RunEnded
)

EVENTS: JsonCodec[Event] = JsonCodec(*get_args(Event))

"""What a run says, in the order it says it.

Every event carries `t`, seconds since 1970 by the trainer's clock. A run's
`events.jsonl` holds one event a line; a screen, a report and a test rebuild
everything they show from these lines alone (see `state.RunState`).
"""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.protocol.json_codec import JsonCodec

FINISHED, STOPPED, DETACHED, FAILED = "finished", "stopped", "detached", "failed"
# How the Alert begins by which a run says, at its end, what became of its frozen parts.
FROZEN_KEPT, FROZEN_CHANGED = "frozen parts unchanged", "frozen parts changed"
TRAIN, LRFIND, ENSEMBLE, SWEEP = "train", "lrfind", "ensemble", "sweep"


def run_title(kind: str, recipe: str) -> str:
    """What a run is called: its recipe, after the kind where it is no training."""
    return recipe if kind in (TRAIN, recipe) else f"{kind} {recipe}"


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A process begins, or takes up again at `step`, a run: a training (`kind` train), a
    search for a learning rate (lrfind), an ensemble or a sweep.

    The probes of a search are the steps of its one epoch."""

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

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands; at most ten a second whatever the step rate.

    `loss` and `accuracy` are means over the training images since the last Progress
    of the epoch (`accuracy` is not given while labels are mixed).
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


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """An epoch's training figures and, where there is a validation split, its verdict."""

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


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint is safely on the disk. `kind` is last, best or step."""

    t: float
    step: int
    epoch: int
    kind: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Changed:
    """Something about the run is different from `step` on: phase, lr, paused."""

    t: float
    step: int
    what: str
    value: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know. `level` is note, warning or error."""

    t: float
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """How hard the machine works; None where it cannot be read."""

    t: float
    cpu_percent: float | None
    memory_mb: float | None
    gpu_percent: float | None = None
    gpu_memory_mb: float | None = None
    gpu_memory_total_mb: float | None = None
    gpu_watts: float | None = None
    gpu_celsius: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The verdict of one checkpoint on one split. Accuracies are fractions."""

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


@dataclass(frozen=True, slots=True)
class Glance:
    """What the model thinks of a few validation images that stay the same all through the run.

    `indices` are up to ten images' places in the data set (`Split.indices`): the first of
    each of the first ten classes, then second ones where there are fewer. `said` is the
    class taken to be the likeliest and `shares` its probability. `confusion` has the true
    classes as rows and counts `count` images: after a validation pass all of the split,
    in between a part with about as many of each class. It is empty where there are more
    classes than a screen could show.
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
    """One training step in search of a learning rate: probe number `probe` (from 1) of
    `probes`, at `lr`, had the loss `loss`. What it learnt will be forgotten."""

    t: float
    step: int
    probe: int
    probes: int
    lr: float
    loss: float


@dataclass(frozen=True, slots=True)
class LrSearched:
    """A search for a learning rate is over: finished, stopped, or failed (and why).

    `lr` is what it suggests, in a range from `low` to `high`; None where nothing can be
    suggested, for the reason in `message`.
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
    """A trial of a sweep is over, in this process the number `done` of them.

    `state` is complete, pruned, killed, failed (and why), or stopped or lost where its
    settings are to be tried again; `params` are names and values as text. `best` is the best
    value of the study so far, whoever found it.
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
    """The process stops training: finished, stopped, detached or failed (and why)."""

    t: float
    step: int
    epoch: int
    reason: str
    seconds: float
    message: str = ""


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

EVENTS: JsonCodec[Event] = JsonCodec(
    RunStarted,
    Progress,
    EpochEnded,
    CheckpointSaved,
    Changed,
    Alert,
    Telemetry,
    Evaluated,
    Glance,
    LrProbed,
    LrSearched,
    TrialEnded,
    RunEnded,
)

"""What a run is told, by a key, another process or a signal.

The same few commands arrive through a queue inside one process and through
`commands.jsonl` from another; the training loop looks at both between steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.protocol.json_codec import JsonCodec


@dataclass(frozen=True, slots=True)
class Stop:
    """Checkpoint, end, say `RunEnded(stopped)`."""

    t: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Detach:
    """Checkpoint, end, say `RunEnded(detached)`: another process takes the run on."""

    t: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold still after the current step, still answering commands."""

    t: float


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause."""

    t: float


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Keep the present state as `step-N`, as well as `last`."""

    t: float


@dataclass(frozen=True, slots=True)
class SetLearningRate:
    """Make the learning rate `lr` now; the schedule goes on from there in proportion."""

    t: float
    lr: float


@dataclass(frozen=True, slots=True)
class ScaleLearningRate:
    """Multiply the learning rate by `factor`, now and for the rest of the schedule."""

    t: float
    factor: float


@dataclass(frozen=True, slots=True)
class FindLearningRate:
    """Try `steps` rates from `low` to `high`, tell their losses, forget what they taught,
    and go on."""

    t: float
    low: float
    high: float
    steps: int


@dataclass(frozen=True, slots=True)
class CancelSearch:
    """Give up the search for a learning rate that is going on, if one is."""

    t: float


Command = (
    Stop
    | Detach
    | Pause
    | Resume
    | SaveCheckpoint
    | SetLearningRate
    | ScaleLearningRate
    | FindLearningRate
    | CancelSearch
)

COMMANDS: JsonCodec[Command] = JsonCodec(
    Stop,
    Detach,
    Pause,
    Resume,
    SaveCheckpoint,
    SetLearningRate,
    ScaleLearningRate,
    FindLearningRate,
    CancelSearch,
)

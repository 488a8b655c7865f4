"""Commands to a run, sent by a key, another process or a signal.

They arrive through a queue within a process and through `commands.jsonl` from another;
the training loop reads both between steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from fmnist_tui.protocol.json_codec import JsonCodec


@dataclass(frozen=True, slots=True)
class Stop:
    """Save a checkpoint and end the run as stopped."""

    t: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Detach:
    """Save a checkpoint and end as detached: another process continues the run."""

    t: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause after the current step; commands are still answered."""

    t: float


@dataclass(frozen=True, slots=True)
class Resume:
    """Continue after a pause."""

    t: float


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Save the current state as `step-N` as well as `last`."""

    t: float


@dataclass(frozen=True, slots=True)
class SetLearningRate:
    """Set the learning rate to `lr`; the rest of the schedule is scaled in proportion."""

    t: float
    lr: float


@dataclass(frozen=True, slots=True)
class ScaleLearningRate:
    """Multiply the learning rate by `factor`, now and for the rest of the schedule."""

    t: float
    factor: float


@dataclass(frozen=True, slots=True)
class FindLearningRate:
    """Try `steps` rates from `low` to `high`, report their losses, restore the weights and
    continue."""

    t: float
    low: float
    high: float
    steps: int


@dataclass(frozen=True, slots=True)
class CancelSearch:
    """Cancel the learning-rate search in progress, if any."""

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

COMMANDS: JsonCodec[Command] = JsonCodec(*get_args(Command))


def format_ignored(command: Command, why: str = "") -> str:
    """`ignored the command Pause: the training is over`."""
    return f"ignored the command {type(command).__name__}" + (f": {why}" if why else "")

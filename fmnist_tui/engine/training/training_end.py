"""How a training ends, whatever ends it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingEnd:
    """How training ended: a reason of `RunEnded`, with a message if there is more to say.

    `again` are the options of `train` with which a failed run goes on; `{}` stands for its id."""

    reason: str
    message: str = ""
    again: str = ""


class EndTraining(Exception):  # noqa: N818 - not an error: it leaves the loop
    """Raised to end the training now."""

    def __init__(self, reason: str, message: str = "", again: str = "") -> None:
        self.end = TrainingEnd(reason, message, again)

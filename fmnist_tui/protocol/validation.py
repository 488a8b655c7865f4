"""The validation figure of a run: one, wherever a run is shown.

It is the evaluation of the run's own checkpoint, in single precision and over the augmented views
of its setting `tta`. Until there is one it is what the training measured at the end of its best
epoch, in its own precision and without these views, which is said or marked wherever it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.protocol.events import RunStarted
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.util.formatting import format_percent

MARK = "~"
MARK_MEANING = f"{MARK} measured during the training; evaluating the run replaces it"


@dataclass(frozen=True, slots=True)
class Validation:
    """Accuracy and loss on `count` images; `epoch` is the best one, 0 if there is none. `note` is
    empty for an evaluation and otherwise says that and how the training measured them."""

    accuracy: float
    loss: float | None
    count: int
    epoch: int
    note: str = ""

    def format(self, digits: int = 2) -> str:
        """The accuracy, marked if the training measured it."""
        return format_validation(self.accuracy, self.note, digits)


def find_validation(state: RunState) -> Validation | None:
    """The validation figure of a run; None if it has no validation split or no epoch yet."""
    evaluated, best = state.evaluation("val"), state.best
    if evaluated is not None and (best is None or best.step == evaluated.step):
        epoch = best.epoch if best is not None else 0
        return Validation(evaluated.accuracy, evaluated.loss, evaluated.count, epoch)
    if best is None or best.val_accuracy is None:
        return None
    note = training_note(state.started)
    return Validation(best.val_accuracy, best.val_loss, best.val_count, best.epoch, note)


def training_note(started: RunStarted | None) -> str:
    """How figures of a training were measured: `during training, bf16`."""
    return f"during training, {started.precision}" if started is not None else "during training"


def format_validation(accuracy: float | None, note: str, digits: int = 2) -> str:
    """An accuracy, marked if there is a `note`."""
    mark = MARK if note and accuracy is not None else ""
    return mark + format_percent(accuracy, digits)

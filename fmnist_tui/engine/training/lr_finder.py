"""The search for a learning rate: one training step at each of many rates, then all forgotten.

The steps are the learner's own, with its data, augmentation and optimiser as they stand, so
that what is found holds for it; afterwards the learner is as it was, to the last bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

from torch import Tensor

from fmnist_tui.engine.inference.classifier import OnTick
from fmnist_tui.engine.run.inbox import Inbox
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.step import TrainingStep
from fmnist_tui.protocol.commands import CancelSearch, Command, Detach, Stop
from fmnist_tui.protocol.events import FINISHED, STOPPED, Event, LrProbed, LrSearched
from fmnist_tui.protocol.lr_curve import (
    DivergenceDetector,
    LrSuggestion,
    Point,
    RateRange,
    suggest_rate,
)
from fmnist_tui.util.errors import UserError

PHASE = "finding a rate"
# On fewer batches an epoch a loss falls by learning those few by heart.
LEAST_BATCHES = 4


class PendingCommands:
    """What a run is told between two steps, waiting to be done."""

    def __init__(self, control: Inbox, pulse: OnTick) -> None:
        self.pending: deque[Command] = deque()
        self._control, self._pulse = control, pulse

    def poll(self) -> None:
        """See to small jobs, and take in what has been told."""
        self._pulse()
        self.pending += self._control.take()

    def is_search_ended(self) -> bool:
        """Whether something has been told that ends a search. All else waits for its end."""
        self.poll()
        return any(isinstance(told, (CancelSearch, Stop, Detach)) for told in self.pending)


def check_batch_count(images: int, batch_size: int) -> None:
    """Refuse a training split whose curve would say nothing."""
    if images // batch_size < LEAST_BATCHES:
        most = images // LEAST_BATCHES
        raise UserError(
            f"{images:,} training images are less than {LEAST_BATCHES} batches of {batch_size}:"
            " too few to find a learning rate by"
            + (f"; set batch_size to {most} or less" if most else "")
        )


def search(
    learner: Learner,
    rates: RateRange,
    emit: Callable[[Event], None],
    told: PendingCommands,
    step: TrainingStep | None = None,
) -> LrSearched:
    """Try these rates until the loss explodes or the search is told to end; say each
    probe and, last, what came of it. `step` is what a training under way learns by."""
    learn = step if step is not None and _usable(step, learner) else learner.make_step()
    points: list[Point] = []
    explosion = DivergenceDetector()
    ended = False
    with learner.undo_on_exit():
        for probe, rows in zip(range(rates.steps), _batches(learner), strict=False):
            ended = told.is_search_ended()
            if ended:
                break
            lr = rates.rate_at(probe)
            learner.apply_lr(lr)
            learn(rows)
            loss = learn.read_totals()[0] / learner.order.batch_size
            points.append((lr, loss))
            emit(LrProbed(time.time(), learner.step, probe + 1, rates.steps, lr, loss))
            if explosion.diverges(loss):
                break
    found = LrSuggestion() if ended else suggest_rate(points)
    reason = STOPPED if ended else FINISHED
    searched = LrSearched(
        time.time(), learner.step, reason, found.lr, found.low, found.high, found.message
    )
    emit(searched)
    return searched


def _usable(step: TrainingStep, learner: Learner) -> bool:
    """Not while it is still to be captured: the graph would hold what is forgotten."""
    return step.is_captured or not learner.machine.cuda_graph


def _batches(learner: Learner) -> Iterator[Tensor]:
    """The batches to come, this epoch's and those of as many after it as are needed."""
    epoch, first = learner.epoch, learner.epoch_step
    while True:
        yield from learner.order.epoch_indices(epoch)[first:]
        epoch, first = epoch + 1, 0

"""The learning-rate search: one training step at each of many rates, all undone afterwards.

The steps are the learner's own, with its current data, augmentation and optimiser state, so that
the result holds for it; afterwards the learner is unchanged to the last bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import chain, count, islice

from fmnist_tui.engine.distributed.processes import ONE_PROCESS, Processes
from fmnist_tui.engine.inference.classifier import OnTick
from fmnist_tui.engine.run.training_handle import Inbox
from fmnist_tui.engine.step.training_step import TrainingStep
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.commands import CancelSearch, Command, Detach, Stop
from fmnist_tui.protocol.events import FINISHED, STOPPED, Event, LrProbed, LrSearched
from fmnist_tui.protocol.lr_curve import (
    DivergenceDetector,
    LrSuggestion,
    RatePoint,
    RateRange,
    suggest_rate,
)
from fmnist_tui.util.errors import UserError

PHASE = "finding a rate"
# With fewer batches per epoch the loss falls because the model memorises them.
MIN_BATCHES = 4


class PendingCommands:
    """The commands of a run that have arrived and not been executed yet."""

    def __init__(self, inbox: Inbox, on_tick: OnTick, processes: Processes = ONE_PROCESS) -> None:
        self.pending: deque[Command] = deque()
        self._inbox, self.on_tick, self._processes = inbox, on_tick, processes

    def poll(self) -> None:
        """Serve small jobs and collect new commands."""
        self.on_tick()
        self.pending += self._processes.agree_on_commands(self._inbox.receive())

    def is_search_ended(self) -> bool:
        """Whether a command has arrived that ends a search. All others wait until it is over."""
        self.poll()
        return any(isinstance(command, (CancelSearch, Stop, Detach)) for command in self.pending)


def check_batch_count(images: int, batch_size: int) -> None:
    """Refuse a training split that is too small for a meaningful curve."""
    if images // batch_size < MIN_BATCHES:
        largest = images // MIN_BATCHES
        raise UserError(
            f"{images:,} training images are less than {MIN_BATCHES} batches of {batch_size}:"
            " too few for a learning-rate search"
            + (f"; set batch_size to {largest} or less" if largest else "")
        )


def search(
    learner: Learner,
    rates: RateRange,
    emit: Callable[[Event], None],
    commands: PendingCommands,
    step: TrainingStep | None = None,
) -> LrSearched:
    """Try these rates until the loss diverges or a command ends the search; report every probe
    and finally the result. `step` is the step of a training in progress."""
    # All that it tries are images as this epoch augments them.
    learner.images.begin(learner.epoch, commands.on_tick)
    epochs = map(learner.order.epoch_indices, count(learner.epoch))
    batches, first = chain.from_iterable(epochs), learner.epoch_step
    points: list[RatePoint] = []
    divergence = DivergenceDetector()
    is_stopped = False
    with learner.undo_on_exit(), ExitStack() as stack:
        # Before its capture a step cannot be reused: the graph would hold optimiser state that is
        # discarded afterwards.
        if step is None or step.will_capture:
            step = stack.enter_context(closing(learner.make_step(emit=emit)))
        for probe, indices in enumerate(islice(batches, first, first + rates.steps)):
            if is_stopped := commands.is_search_ended():
                break
            lr = rates.rate_at(probe)
            step.run(indices[None], [lr])
            loss = step.read_totals()[0] / learner.order.batch_size
            points.append((lr, loss))
            emit(LrProbed(time.time(), learner.step, probe + 1, rates.steps, lr, loss))
            if divergence.diverges(loss):
                break
    best = LrSuggestion() if is_stopped else suggest_rate(points)
    end = STOPPED if is_stopped else FINISHED
    result = LrSearched(time.time(), learner.step, end, best.lr, best.low, best.high, best.message)
    emit(result)
    return result

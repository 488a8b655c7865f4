"""What the steps since the last report have come to."""

from __future__ import annotations

import time
from dataclasses import dataclass

from fmnist_tui.engine.run.run_clock import RunClock
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.events import Progress


@dataclass(frozen=True, slots=True)
class MeanOfSteps:
    """Some steps: their images, mean loss and accuracy, and how long they took; `waited` of these
    seconds were spent on copying batches."""

    images: int
    loss: float
    accuracy: float | None
    seconds: float
    waited: float

    def to_progress(self, learner: Learner, clock: RunClock) -> Progress:
        """The event for the steps up to the learner's position."""
        steps = self.images / learner.order.batch_size
        return Progress(
            t=time.time(),
            step=learner.step,
            epoch=learner.epoch + 1,
            epoch_step=learner.epoch_step,
            images=learner.totals.images,
            loss=self.loss,
            accuracy=self.accuracy,
            lr=learner.lr,
            images_per_second=self.images / max(self.seconds, 1e-9),
            step_ms=self.seconds / steps * 1000,
            wait_ms=self.waited / steps * 1000,
            run_seconds=clock.run_seconds,
            train_seconds=learner.seconds,
            epochs=learner.config.epochs,
            warm_seconds=clock.warm_seconds,
        )

"""The state of a run, built from its events: what every screen and report shows.

`RunState.apply` takes the events in order and reads nothing else, no clock and no file:
the same events give equal states. Memory is bounded whatever the length of the run.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fmnist_tui.protocol.checkpoint_record import BEST, LAST, CheckpointRecord
from fmnist_tui.protocol.events import (
    BEST_EPOCH,
    FROZEN_CHANGED,
    FROZEN_KEPT,
    LRFIND,
    THREADS,
    Alert,
    Changed,
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    Glance,
    LrProbed,
    LrSearched,
    Progress,
    RunEnded,
    RunStarted,
    Telemetry,
    TrialEnded,
)
from fmnist_tui.protocol.lr_search import LrSearch
from fmnist_tui.protocol.run_time import RunTime
from fmnist_tui.protocol.series import CurvePoint, Series
from fmnist_tui.protocol.step_timer import StepTimer

MAX_EPOCHS = 2000
MAX_ALERTS = 200
MAX_MARKERS = 500

TRAIN_LOSS, TRAIN_ACCURACY = "train_loss", "train_accuracy"
VAL_LOSS, VAL_ACCURACY, LR = "val_loss", "val_accuracy", "lr"
# The wall time of the run in seconds, by step
ELAPSED = "elapsed"


@dataclass(frozen=True, slots=True)
class Marker:
    """A mark on the curves: `what` is lr (`before` is the rate before), best, step or resumed."""

    t: float
    step: int
    what: str
    text: str
    before: str = ""


def _new_curves() -> dict[str, Series]:
    names = (TRAIN_LOSS, TRAIN_ACCURACY, VAL_LOSS, VAL_ACCURACY, LR, ELAPSED)
    return {name: Series() for name in names}


@dataclass(eq=False, repr=False, slots=True)
class RunState:
    """Everything that the events of a run tell about it.

    `t` is the time of the last event, `started` the latest RunStarted and `sessions` their
    number. `epochs`, `alerts` and `markers` hold the most recent; `best` is the best epoch
    even if it is no longer among them. `record` has the checkpoints and their
    figures. `search` is the latest learning-rate search; in a run of kind lrfind the
    steps are its probes. `trial` is the latest trial of a sweep; there the steps are the
    trials and the validation accuracy is the best so far. `time` tells how long the run has taken.
    `threads` is the number of CPU threads, 0 if it does not matter, and `thread_changes` counts its
    changes. `unreadable_lines` of its record hold no event: whoever reads them counts them.
    """

    t: float = 0.0
    started: RunStarted | None = None
    sessions: int = 0
    phase: str = ""
    paused: bool = False
    step: int = 0
    epoch: int = 0
    lr: float | None = None
    progress: Progress | None = None
    telemetry: Telemetry | None = None
    glance: Glance | None = None
    threads: int = 0
    thread_changes: int = 0
    search: LrSearch | None = None
    trial: TrialEnded | None = None
    best: EpochEnded | None = None
    end: RunEnded | None = None
    time: RunTime = field(default_factory=RunTime)
    curves: dict[str, Series] = field(default_factory=_new_curves)
    epochs: deque[EpochEnded] = field(default_factory=lambda: deque(maxlen=MAX_EPOCHS))
    alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=MAX_ALERTS))
    markers: deque[Marker] = field(default_factory=lambda: deque(maxlen=MAX_MARKERS))
    record: CheckpointRecord = field(default_factory=CheckpointRecord)
    unreadable_lines: int = 0
    _step_timer: StepTimer = field(default_factory=StepTimer)

    def apply(self, event: Event) -> None:
        self.t = event.t
        _APPLY[type(event)](self, event)
        if type(event) not in _LATER_EVENTS:
            self.time.tick(event.t)

    def expect_session(self) -> None:
        """The run is being resumed: how its last session ended no longer tells how it is."""
        self.end, self.paused = None, False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunState):
            return NotImplemented
        return bool(_comparable(self) == _comparable(other))

    @property
    def checkpoints(self) -> dict[str, CheckpointSaved]:
        """The checkpoints by file."""
        return self.record.checkpoints

    @property
    def end_reason(self) -> str | None:
        """The reason of RunEnded; None while the run has not ended."""
        return self.end.reason if self.end else None

    @property
    def message(self) -> str:
        """The message of RunEnded."""
        return self.end.message if self.end else ""

    @property
    def epochs_done(self) -> int:
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def fraction(self) -> float:
        """Share of the training that is done, 0 to 1."""
        total = self.started.total_steps if self.started else 0
        return min(1.0, max(0.0, self.step / total)) if total > 0 else 0.0

    @property
    def images_per_second(self) -> float | None:
        """The current speed."""
        return self.progress.images_per_second if self.progress else None

    @property
    def mean_images_per_second(self) -> float | None:
        """The average speed of the training."""
        if self.started is None or self.train_seconds <= 0:
            return None
        return self.time.train_steps * self.started.batch_size / self.train_seconds

    @property
    def eta_seconds(self) -> float | None:
        """Estimated seconds of training left; None if unknown."""
        if self.started is not None and self.started.kind == LRFIND and self.search is not None:
            return self.search.eta_seconds
        if self.started is None or self.end is not None or self._step_timer.steps <= 0:
            return None
        remaining = max(0, self.started.total_steps - self.step)
        return remaining * self._step_timer.seconds / self._step_timer.steps

    @property
    def seconds(self) -> float:
        """The wall time of the run, of all its sessions."""
        return self.time.seconds

    @property
    def train_seconds(self) -> float:
        """The time in training steps, of all sessions."""
        return self.time.train_seconds

    @property
    def warm_seconds(self) -> float | None:
        """The warm wall time, from the first step to usable weights, of all sessions; None for
        runs of earlier versions."""
        return self.time.warm_seconds

    @property
    def frozen_unchanged(self) -> bool | None:
        """Whether frozen parts were unchanged at the end; None if nothing was frozen or the
        run has not ended."""
        for alert in reversed(self.alerts):
            for beginning, unchanged in ((FROZEN_KEPT, True), (FROZEN_CHANGED, False)):
                if alert.message.startswith(beginning):
                    return unchanged
        return None

    def series(self, name: str) -> list[CurvePoint]:
        """The points (step, value) of a curve such as train_loss or lr."""
        return self.curves[name].points()

    def evaluation(self, split: str) -> Evaluated | None:
        """The evaluation on `split` of the run's own checkpoint: its best, or in a run without
        one its last."""
        evaluations = self.record.evaluations
        has_best = self.best is not None or self.record.newest(BEST) is not None
        own = evaluations.get((split, BEST))
        return own if own or has_best else evaluations.get((split, LAST))

    def _run_started(self, event: RunStarted) -> None:
        step = event.step
        self.started = event
        self.sessions += 1
        self.phase, self.paused, self.end, self.telemetry = "", False, None, None
        self.search = self.trial = None
        self._step_timer = StepTimer()
        for curve in self.curves.values():
            curve.drop_after(step)
        self.epochs = deque((e for e in self.epochs if e.step <= step), MAX_EPOCHS)
        best_step = step if event.best_step is None else event.best_step
        if self.best is not None and self.best.step > best_step:
            best = (e for e in reversed(self.epochs) if e.best and e.step <= best_step)
            self.best = next(best, None)
        self.record.resume(event)
        kept = (m for m in self.markers if m.step <= (best_step if m.what == BEST else step))
        self.markers = deque(kept, MAX_MARKERS)
        self.time.start(event, self.step)
        if self.progress is not None and self.progress.step > step:
            self.progress = None
        if self.glance is not None and self.glance.step > step:
            self.glance = None
        last = self.progress or (self.epochs[-1] if self.epochs else None)
        self.step, self.epoch = step, last.epoch if last else 0
        self.lr = last.lr if last else None
        self.threads = event.threads
        if step > 0:
            self.markers.append(Marker(event.t, step, "resumed", event.changed_settings))

    def _progress(self, event: Progress) -> None:
        step = event.step
        self.time.advance(event, max(0, step - self.step))
        self.progress, self.step, self.epoch, self.lr = event, step, event.epoch, event.lr
        curves = self.curves
        curves[TRAIN_LOSS].add(step, event.loss)
        if event.accuracy is not None:
            curves[TRAIN_ACCURACY].add(step, event.accuracy)
        curves[LR].add(step, event.lr)
        self.time.tick(event.t)
        curves[ELAPSED].add(step, self.time.seconds)
        self._step_timer.update(event.t, step)

    def _epoch_ended(self, event: EpochEnded) -> None:
        self.step, self.epoch, self.lr = event.step, event.epoch, event.lr
        self.time.reach(event)
        self.epochs.append(event)
        if event.best:
            self.best = event
        if event.val_loss is not None:
            self.curves[VAL_LOSS].add(event.step, event.val_loss)
        if event.val_accuracy is not None:
            self.curves[VAL_ACCURACY].add(event.step, event.val_accuracy)

    def _checkpoint_saved(self, event: CheckpointSaved) -> None:
        self.record.save(event)
        if event.kind != "last":
            self.markers.append(Marker(event.t, event.step, event.kind, event.file))

    def _changed(self, event: Changed) -> None:
        if event.what == "phase":
            self.phase = event.value
        elif event.what == "paused":
            self.paused = event.value == "true"
            if self.paused:
                self._step_timer.pause(event.t)
            else:
                self._step_timer.resume(event.t)
        elif event.what == THREADS and event.value.isdecimal() and len(event.value) < 10:
            self.threads = int(event.value)
            self.thread_changes += 1
        elif event.what == BEST_EPOCH:
            best = (e for e in reversed(self.epochs) if e.best and e.step == event.step)
            self.best = next(best, None)
        elif event.what == "lr":
            try:
                self.lr, _ = float(event.value), float(event.before or 0)
            except ValueError:
                return
            self.markers.append(Marker(event.t, event.step, "lr", event.value, event.before))

    def _alert(self, event: Alert) -> None:
        self.alerts.append(event)

    def _telemetry(self, event: Telemetry) -> None:
        self.telemetry = event

    def _evaluated(self, event: Evaluated) -> None:
        if self._is_table(event.confusion):
            self.record.evaluate(event)
        else:
            self.alerts.append(Alert(event.t, "warning", f"damaged figures on {event.split}"))

    def _glance(self, event: Glance) -> None:
        classes = range(len(self.started.classes) if self.started is not None else 0)
        samples = (event.indices, event.labels, event.said, event.shares)
        if (
            len(set(map(len, samples))) == 1
            and all(label in classes for label in (*event.labels, *event.said))
            and (not event.confusion or self._is_table(event.confusion))
        ):
            self.glance = event

    def _is_table(self, confusion: tuple[tuple[int, ...], ...]) -> bool:
        """Whether it counts the run's classes by class; a damaged line may count anything."""
        count = len(self.started.classes) if self.started is not None else len(confusion)
        return len(confusion) == count and all(len(row) == count for row in confusion)

    def _lr_probed(self, event: LrProbed) -> None:
        if self.search is None or self.search.end is not None or event.probe <= 1:
            self.search = LrSearch.from_probe(event)
            self._step_timer.pause(event.t)
        self.search.add(event)
        if self.started is not None and self.started.kind == LRFIND:
            self.step, self.lr = event.probe, event.lr

    def _lr_searched(self, event: LrSearched) -> None:
        if self.search is None or self.search.end is not None:
            self.search = LrSearch(event.t, event.step, 0)
        self.search.end = event
        if not self.paused:
            self._step_timer.resume(event.t)

    def _trial_ended(self, event: TrialEnded) -> None:
        self.trial, self.step = event, event.done
        if event.best is not None:
            self.curves[VAL_ACCURACY].add(event.done, event.best)
        self._step_timer.update(event.t, event.done)

    def _run_ended(self, event: RunEnded) -> None:
        if self.search is not None:
            self.search.close(event.t, event.step, event.message)
        self.end = event
        self.paused = False
        self.time.end(event)


# Also recorded when no session is running: by `evaluate` and `export`.
_LATER_EVENTS = (Evaluated, Alert)
_APPLY: dict[type[Event], Callable[[RunState, Any], None]] = {
    RunStarted: RunState._run_started,
    Progress: RunState._progress,
    EpochEnded: RunState._epoch_ended,
    CheckpointSaved: RunState._checkpoint_saved,
    Changed: RunState._changed,
    Alert: RunState._alert,
    Telemetry: RunState._telemetry,
    Evaluated: RunState._evaluated,
    Glance: RunState._glance,
    LrProbed: RunState._lr_probed,
    LrSearched: RunState._lr_searched,
    TrialEnded: RunState._trial_ended,
    RunEnded: RunState._run_ended,
}


def _comparable(value: Any) -> Any:
    """`value` in a form in which any two NaNs are equal."""
    if isinstance(value, float):
        return value if value == value else "nan"
    if isinstance(value, Series):
        return _comparable(value.snapshot())
    if dataclasses.is_dataclass(value):
        return [
            type(value),
            *(_comparable(getattr(value, f.name)) for f in dataclasses.fields(value)),
        ]
    if isinstance(value, (tuple, list, deque)):
        return [_comparable(part) for part in value]
    if isinstance(value, dict):
        return {key: _comparable(part) for key, part in value.items()}
    return value

"""What a run's events add up to: the one state behind every screen, report and test.

`RunState.apply` takes the events in the order in which they were said and looks at
nothing else, no clock and no file: the same events give equal states. Its memory is
bounded whatever the length of the run.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fmnist_tui.protocol.events import (
    FROZEN_CHANGED,
    FROZEN_KEPT,
    LRFIND,
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
from fmnist_tui.protocol.series import Point, Series

EPOCHS = 2000
ALERTS = 200
MARKERS = 500
CHECKPOINTS = 200
GENERATIONS = 2
EVALUATIONS = 64

TRAIN_LOSS, TRAIN_ACCURACY = "train_loss", "train_accuracy"
VAL_LOSS, VAL_ACCURACY, LR = "val_loss", "val_accuracy", "lr"

# The pace behind the time left is an average that forgets over this many seconds: long
# enough to hold the validations between epochs, short enough to follow a busier machine.
_PACE_SECONDS = 600.0


@dataclass(slots=True)
class _Pace:
    """Seconds a step takes, by the times the events carry, pauses left out."""

    t: float = math.nan
    step: int = 0
    seconds: float = 0.0
    steps: float = 0.0
    paused_at: float | None = None

    def at(self, t: float, step: int) -> None:
        seconds, steps = t - self.t, step - self.step
        # Not so before the first step seen, nor where the clock was set.
        if 0 <= seconds < math.inf and steps > 0:
            keep = math.exp(-seconds / _PACE_SECONDS)
            self.seconds = self.seconds * keep + seconds
            self.steps = self.steps * keep + steps
        self.t, self.step = t, step

    def pause(self, t: float) -> None:
        if self.paused_at is None:
            self.paused_at = t

    def resume(self, t: float) -> None:
        if self.paused_at is not None:
            self.t += max(0.0, t - self.paused_at)
            self.paused_at = None


@dataclass(frozen=True, slots=True)
class Marker:
    """Something worth a mark on the curves: `what` is lr, best, step or resumed."""

    step: int
    what: str
    text: str


def _new_curves() -> dict[str, Series]:
    return {name: Series() for name in (TRAIN_LOSS, TRAIN_ACCURACY, VAL_LOSS, VAL_ACCURACY, LR)}


@dataclass(eq=False, repr=False, slots=True)
class RunState:
    """All that can be said of a run from its events.

    `t` is the time of the last event, `started` the latest RunStarted and `sessions` how
    many there were. `epochs`, `alerts` and `markers` hold the most recent; `best` is the
    best epoch whether or not it is among them. `checkpoints` go by file, `evaluations` by
    (split, checkpoint). `search` is the latest search for a learning rate, whose probes are
    the steps of a run that is nothing else. `trial` is the latest of a sweep, whose steps
    are its trials and whose validation accuracy is the best so far. `train_seconds` is time
    spent on training steps alone, and `train_steps` counts those steps: fewer than `step`
    where the run is a fork.
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
    search: LrSearch | None = None
    trial: TrialEnded | None = None
    best: EpochEnded | None = None
    end: RunEnded | None = None
    train_seconds: float = 0.0
    train_steps: int = 0
    curves: dict[str, Series] = field(default_factory=_new_curves)
    epochs: deque[EpochEnded] = field(default_factory=lambda: deque(maxlen=EPOCHS))
    alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=ALERTS))
    markers: deque[Marker] = field(default_factory=lambda: deque(maxlen=MARKERS))
    checkpoints: dict[str, CheckpointSaved] = field(default_factory=dict)
    evaluations: dict[tuple[str, str], Evaluated] = field(default_factory=dict)
    _pace: _Pace = field(default_factory=_Pace)

    def apply(self, event: Event) -> None:
        self.t = event.t
        _APPLY[type(event)](self, event)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunState):
            return NotImplemented
        return bool(_plain(self) == _plain(other))

    @property
    def end_reason(self) -> str | None:
        """How the run ended: a reason of RunEnded; None while it has not."""
        return self.end.reason if self.end else None

    @property
    def message(self) -> str:
        """What was said when the run ended."""
        return self.end.message if self.end else ""

    @property
    def epochs_done(self) -> int:
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def fraction(self) -> float:
        """How much of the training is done, 0 to 1."""
        total = self.started.total_steps if self.started else 0
        return min(1.0, max(0.0, self.step / total)) if total > 0 else 0.0

    @property
    def images_per_second(self) -> float | None:
        """The pace of the last moment."""
        return self.progress.images_per_second if self.progress else None

    @property
    def mean_images_per_second(self) -> float | None:
        """The pace of the training as a whole."""
        if self.started is None or self.train_seconds <= 0:
            return None
        return self.train_steps * self.started.batch_size / self.train_seconds

    @property
    def eta_seconds(self) -> float | None:
        """Seconds of training left at the present pace; None where nothing can be said."""
        if self.started is not None and self.started.kind == LRFIND and self.search is not None:
            return self.search.eta_seconds
        if self.started is None or self.end is not None or self._pace.steps <= 0:
            return None
        left = max(0, self.started.total_steps - self.step)
        return left * self._pace.seconds / self._pace.steps

    @property
    def seconds(self) -> float:
        """How long the present session has gone on, or as long as an ended one says it took."""
        if self.end is not None:
            return self.end.seconds
        return max(0.0, self.t - self.started.t) if self.started else 0.0

    @property
    def frozen_unchanged(self) -> bool | None:
        """Whether what was frozen is at the end what it was; None where nothing was frozen, or
        the end has not come."""
        for alert in reversed(self.alerts):
            for said, kept in ((FROZEN_KEPT, True), (FROZEN_CHANGED, False)):
                if alert.message.startswith(said):
                    return kept
        return None

    def series(self, name: str) -> list[Point]:
        """The points (step, value) of a curve: train_loss, val_accuracy, lr, …"""
        return self.curves[name].points()

    def evaluation(self, split: str) -> Evaluated | None:
        """The newest evaluation on `split`, one of a best checkpoint before any other."""
        found = [e for (name, _), e in reversed(self.evaluations.items()) if name == split]
        return next((e for e in found if e.checkpoint.startswith("best")), next(iter(found), None))

    def _run_started(self, event: RunStarted) -> None:
        step = event.step
        self.started = event
        self.sessions += 1
        self.phase, self.paused, self.end, self.telemetry = "", False, None, None
        self.search = self.trial = None
        self._pace = _Pace()
        for curve in self.curves.values():
            curve.drop_after(step)
        self.epochs = deque((e for e in self.epochs if e.step <= step), EPOCHS)
        if self.best is not None and self.best.step > step:
            self.best = next((e for e in reversed(self.epochs) if e.best), None)
        self.markers = deque((m for m in self.markers if m.step <= step), MARKERS)
        if step < self.step and self.train_steps > 0:
            # The steps to be done again count once.
            kept = max(0, self.train_steps - (self.step - step))
            self.train_seconds *= kept / self.train_steps
            self.train_steps = kept
        if self.progress is not None and self.progress.step > step:
            self.progress = None
        if self.glance is not None and self.glance.step > step:
            self.glance = None
        last = self.progress or (self.epochs[-1] if self.epochs else None)
        self.step, self.epoch = step, last.epoch if last else 0
        self.lr = last.lr if last else None
        if step > 0:
            self.markers.append(Marker(step, "resumed", ""))

    def _progress(self, event: Progress) -> None:
        step = event.step
        if step > self.step:
            self.train_seconds += (step - self.step) * event.step_ms / 1000
            self.train_steps += step - self.step
        self.progress, self.step, self.epoch, self.lr = event, step, event.epoch, event.lr
        curves = self.curves
        curves[TRAIN_LOSS].add(step, event.loss)
        if event.accuracy is not None:
            curves[TRAIN_ACCURACY].add(step, event.accuracy)
        curves[LR].add(step, event.lr)
        self._pace.at(event.t, step)

    def _epoch_ended(self, event: EpochEnded) -> None:
        self.step, self.epoch, self.lr = event.step, event.epoch, event.lr
        self.epochs.append(event)
        if event.best:
            self.best = event
        if event.val_loss is not None:
            self.curves[VAL_LOSS].add(event.step, event.val_loss)
        if event.val_accuracy is not None:
            self.curves[VAL_ACCURACY].add(event.step, event.val_accuracy)

    def _checkpoint_saved(self, event: CheckpointSaved) -> None:
        _put(self.checkpoints, event.file, event, CHECKPOINTS)
        if event.kind != "last":
            self.markers.append(Marker(event.step, event.kind, event.file))
        # `last` and `best` live for two generations; only `step` checkpoints are for good.
        same = [file for file, saved in self.checkpoints.items() if saved.kind == event.kind]
        for file in same[:-GENERATIONS] if event.kind != "step" else ():
            del self.checkpoints[file]
        # What was found out about an earlier file of that name is not true of this one.
        for key, evaluated in list(self.evaluations.items()):
            if evaluated.checkpoint == event.file and evaluated.step != event.step:
                del self.evaluations[key]

    def _changed(self, event: Changed) -> None:
        if event.what == "phase":
            self.phase = event.value
        elif event.what == "paused":
            self.paused = event.value == "true"
            if self.paused:
                self._pace.pause(event.t)
            else:
                self._pace.resume(event.t)
        elif event.what == "lr":
            try:
                self.lr = float(event.value)
            except ValueError:
                return
            self.markers.append(Marker(event.step, "lr", event.value))

    def _alert(self, event: Alert) -> None:
        self.alerts.append(event)

    def _telemetry(self, event: Telemetry) -> None:
        self.telemetry = event

    def _evaluated(self, event: Evaluated) -> None:
        _put(self.evaluations, (event.split, event.checkpoint), event, EVALUATIONS)

    def _glance(self, event: Glance) -> None:
        self.glance = event

    def _lr_probed(self, event: LrProbed) -> None:
        if self.search is None or self.search.end is not None or event.probe <= 1:
            self.search = LrSearch.from_probe(event)
            self._pace.pause(event.t)
        self.search.add(event)
        if self.started is not None and self.started.kind == LRFIND:
            self.step, self.lr = event.probe, event.lr

    def _lr_searched(self, event: LrSearched) -> None:
        if self.search is None or self.search.end is not None:
            self.search = LrSearch(event.t, event.step, 0)
        self.search.end = event
        if not self.paused:
            self._pace.resume(event.t)

    def _trial_ended(self, event: TrialEnded) -> None:
        self.trial, self.step = event, event.done
        if event.best is not None:
            self.curves[VAL_ACCURACY].add(event.done, event.best)
        self._pace.at(event.t, event.done)

    def _run_ended(self, event: RunEnded) -> None:
        if self.search is not None:
            self.search.close(event.t, event.step, event.message)
        self.end = event
        self.paused = False


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


def _put(table: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    """Enter `value` as the newest; the oldest goes where there are too many."""
    table.pop(key, None)
    table[key] = value
    if len(table) > limit:
        del table[next(iter(table))]


def _plain(value: Any) -> Any:
    """`value` for comparison: one NaN is as good as another."""
    if isinstance(value, float):
        return value if value == value else "nan"
    if isinstance(value, Series):
        return _plain(value.kept())
    if dataclasses.is_dataclass(value):
        return [type(value), *(_plain(getattr(value, f.name)) for f in dataclasses.fields(value))]
    if isinstance(value, (tuple, list, deque)):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value

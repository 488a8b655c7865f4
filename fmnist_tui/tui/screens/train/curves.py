"""The lines and marks of the charts on Train, from the state of a run."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

from fmnist_tui.protocol.run_state import (
    ELAPSED,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    RunState,
)
from fmnist_tui.render import axis
from fmnist_tui.render.line_chart import Line
from fmnist_tui.render.smoothing import smooth_line
from fmnist_tui.tui.widgets.charts.plot_strips import LineMark

# What the x axis counts, with what its numbers are.
STEP, EPOCH, TIME = "step", "epoch", "time"
X_AXES = {STEP: axis.WHOLE, EPOCH: axis.NUMBERS, TIME: axis.SECONDS}
_MARKS = {
    "lr": ("L", "rate changed"),
    "best": ("B", "best epoch"),
    "step": ("C", "checkpoint"),
    "resumed": ("R", "resumed"),
}


class RunCurves:
    """The curves of a run by step, epoch or time."""

    def __init__(self, state: RunState, x_axis: str) -> None:
        self._state = state
        self._x = _step_to_x(state, x_axis)

    def loss(self, smoothing: float) -> list[Line]:
        """Training and validation loss."""
        return self._lines(TRAIN_LOSS, VAL_LOSS, smoothing)

    def accuracy(self, smoothing: float) -> list[Line]:
        """Training and validation accuracy."""
        return self._lines(TRAIN_ACCURACY, VAL_ACCURACY, smoothing)

    def marks(self) -> list[LineMark]:
        """Marks at rate changes, kept checkpoints, resumptions and the latest best epoch."""
        marks, state = [], self._state
        best = max((marker.step for marker in state.markers if marker.what == "best"), default=None)
        for marker in state.markers:
            if marker.what == "best" and marker.step != best:
                continue
            text = {
                "lr": f"lr → {marker.text}",
                "best": "best so far",
                "step": f"checkpoint {marker.text}",
            }.get(marker.what, marker.what)
            letter, meaning = _MARKS.get(marker.what, ("·", ""))
            marks.append(LineMark(self._x(marker.step), letter, text, meaning))
        return marks

    def epoch_ends(self) -> list[float]:
        """Where epochs end, up to the current one."""
        started = self._state.started
        if started is None or started.steps_per_epoch < 1:
            return []
        return [
            self._x(step)
            for step in range(started.steps_per_epoch, self._state.step, started.steps_per_epoch)
        ]

    def growing_span(self) -> tuple[float, float] | None:
        """A range of the x axis with room for what comes: a live chart is seldom drawn anew in
        another scale, which would change every cell."""
        last = self._x(self._state.step)
        if last <= 0:
            return None
        room = 2.0 ** math.ceil(math.log2(last)) / 16
        return 0.0, room * math.ceil(last / room + 1e-9)

    def _lines(self, train: str, val: str, smoothing: float) -> list[Line]:
        lines = []
        for name, label, colour, share in (
            (train, "train", "cyan", smoothing),
            (val, "val", "orange", 0.0),
        ):
            if points := self._state.series(name):
                # Smoothed by step, so that the curve is the same on every axis.
                line = smooth_line(label, points, colour, share)
                lines.append(replace(line, xs=[self._x(step) for step in line.xs]))
        return lines


def _step_to_x(state: RunState, x_axis: str) -> Callable[[float], float]:
    if x_axis == EPOCH and state.started is not None and state.started.steps_per_epoch > 0:
        per_epoch = state.started.steps_per_epoch
        return lambda step: step / per_epoch
    if x_axis == TIME:
        times = [(0, 0.0), *state.series(ELAPSED)]
        steps = [step for step, _ in times]

        def seconds(step: float) -> float:
            after = min(max(1, bisect_left(steps, step)), len(times) - 1)
            (step_before, before), (step_after, then) = times[max(0, after - 1)], times[after]
            share = (step - step_before) / (step_after - step_before or 1)
            return before + min(1.0, share) * (then - before)

        return seconds
    return float

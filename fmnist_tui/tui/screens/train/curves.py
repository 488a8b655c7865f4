"""The lines and marks of the charts on Train, from the state of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmnist_tui.protocol.run_state import (
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    RunState,
)
from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.widgets.charts.line_chart import LineMark

SMOOTHINGS = (0.0, 0.8, 0.95)
_LETTERS = {"lr": "L", "best": "B", "step": "C", "resumed": "R"}
Points = Sequence[tuple[float, float]]


def loss_lines(state: RunState, smoothing: float = 0.0) -> list[Line]:
    """Training and validation loss by step."""
    return _build_lines(state, TRAIN_LOSS, VAL_LOSS, smoothing)


def accuracy_lines(state: RunState, smoothing: float = 0.0) -> list[Line]:
    """Training and validation accuracy by step."""
    return _build_lines(state, TRAIN_ACCURACY, VAL_ACCURACY, smoothing)


def _build_lines(state: RunState, train: str, val: str, smoothing: float) -> list[Line]:
    train_points: Points = state.series(train)
    if smoothing:
        train_points = smooth(train_points, smoothing)
    return [
        Line(label, [x for x, _ in points], [y for _, y in points], colour)
        for label, points, colour in (
            ("train", train_points, "cyan"),
            ("val", state.series(val), "orange"),
        )
        if points
    ]


def smooth(points: Points, weight: float) -> list[tuple[float, float]]:
    """A bias-corrected exponential moving average; values that are not finite are left out."""
    mean = total = 0.0
    smoothed = []
    for x, y in points:
        if math.isfinite(y):
            mean = weight * mean + (1 - weight) * y
            total = weight * total + (1 - weight)
            smoothed.append((x, mean / total))
    return smoothed


def chart_marks(state: RunState) -> list[LineMark]:
    """Marks at rate changes, kept checkpoints, resumptions and the latest best epoch."""
    marks = []
    best = max((marker.step for marker in state.markers if marker.what == "best"), default=None)
    for marker in state.markers:
        if marker.what == "best" and marker.step != best:
            continue
        text = {
            "lr": f"lr → {marker.text}",
            "best": "best so far",
            "step": f"checkpoint {marker.text}",
        }.get(marker.what, marker.what)
        marks.append(LineMark(marker.step, _LETTERS.get(marker.what, "·"), text))
    return marks

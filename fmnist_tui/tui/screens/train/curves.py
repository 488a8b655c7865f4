"""A run's state as lines and marks for charts."""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_tui.protocol.run_state import (
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    RunState,
)
from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.widgets.line_chart import LineMark

SMOOTHINGS = (0.0, 0.8, 0.95)
_LETTERS = {"lr": "L", "best": "B", "step": "C", "resumed": "R"}
Points = Sequence[tuple[float, float]]


def loss(state: RunState, smoothing: float = 0.0) -> list[Line]:
    """Training and validation loss by step."""
    return _lines(state, TRAIN_LOSS, VAL_LOSS, smoothing)


def accuracy(state: RunState, smoothing: float = 0.0) -> list[Line]:
    """Training and validation accuracy by step."""
    return _lines(state, TRAIN_ACCURACY, VAL_ACCURACY, smoothing)


def _lines(state: RunState, train: str, val: str, smoothing: float) -> list[Line]:
    lines = []
    for name, label, colour in ((train, "train", "cyan"), (val, "val", "orange")):
        points: Points = state.series(name)
        if smoothing and name == train:
            points = smoothed(points, smoothing)
        if points:
            lines.append(Line(label, [x for x, _ in points], [y for _, y in points], colour))
    return lines


def smoothed(points: Points, weight: float) -> list[tuple[float, float]]:
    """An exponential moving average that starts without a bias; what is no number is left out."""
    mean = total = 0.0
    found = []
    for x, y in points:
        if y == y and abs(y) != float("inf"):
            mean = weight * mean + (1 - weight) * y
            total = weight * total + (1 - weight)
            found.append((x, mean / total))
    return found


def marks(state: RunState) -> list[LineMark]:
    """Rate changes, kept checkpoints and resumptions, and of the bests the latest."""
    found = []
    best = max((m.step for m in state.markers if m.what == "best"), default=None)
    for marker in state.markers:
        if marker.what == "best" and marker.step != best:
            continue
        text = {
            "lr": f"lr → {marker.text}",
            "best": "best so far",
            "step": f"checkpoint {marker.text}",
            "resumed": "resumed",
        }.get(marker.what, marker.what)
        found.append(LineMark(marker.step, _LETTERS.get(marker.what, "·"), text))
    return found

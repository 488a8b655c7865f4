"""Loss, accuracy and learning rate by epoch, as charts and as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fmnist_tui.protocol.events import EpochEnded
from fmnist_tui.protocol.run_state import (
    LR,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    RunState,
)
from fmnist_tui.protocol.validation import training_note
from fmnist_tui.report.svg_chart import ChartCurve, ChartMark, CurveChart, curve_chart
from fmnist_tui.report.tables import ReportTable
from fmnist_tui.util.formatting import format_duration, format_number, format_percent

# A longer run shows only some of its epochs in the table.
MAX_ROWS = 100


@dataclass(frozen=True, slots=True)
class LearningCurves:
    """`table_title` says how many of the epochs the table has, `note` how it was measured."""

    charts: list[CurveChart]
    table: ReportTable | None
    table_title: str
    note: str = ""


def learning_curves(state: RunState) -> LearningCurves | None:
    """None if nothing was recorded."""
    steps = max(1, state.started.steps_per_epoch) if state.started is not None else 1

    def curve(label: str, kind: str, name: str) -> ChartCurve:
        return ChartCurve(label, kind, [(step / steps, y) for step, y in state.series(name)])

    best = f"; the best epoch is {state.best.epoch}" if state.best is not None else ""

    def describe(quantity: str, train: str, val: str, format_value: Callable[[float], str]) -> str:
        ends = [
            f"{label} ends at {format_value(points[-1][1])}"
            for name, label in ((train, "training"), (val, "validation"))
            if (points := state.series(name))
        ]
        return f"{quantity} by epoch: {', '.join(ends) or 'no values recorded'}{best}."

    marks = _marks(state, steps)
    candidates = (
        curve_chart(
            "loss",
            [curve("training", "train", TRAIN_LOSS), curve("validation", "val", VAL_LOSS)],
            description=describe("Loss", TRAIN_LOSS, VAL_LOSS, format_number),
            y_label="loss",
            format_y=lambda value: f"{value:g}",
            marks=marks,
        ),
        curve_chart(
            "accuracy",
            [curve("training", "train", TRAIN_ACCURACY), curve("validation", "val", VAL_ACCURACY)],
            description=describe("Accuracy", TRAIN_ACCURACY, VAL_ACCURACY, format_percent),
            y_label="accuracy, %",
            format_y=lambda value: f"{100 * value:.4g}",
            marks=marks,
            y_limit=1.0,
        ),
        curve_chart(
            "rate",
            [curve("learning rate", "rate", LR)],
            description="The learning rate by epoch.",
            y_label="",
            format_y=lambda value: f"{value:.3g}",
            marks=[mark for mark in marks if mark.kind != "best"],
            from_zero=True,
        ),
    )
    charts = [chart for chart in candidates if chart is not None]
    if not charts:
        return None
    epochs = list(state.epochs)
    rows = _thin_out(epochs, state.best)
    part = f" ({len(rows)} of {len(epochs):,})" if len(rows) < len(epochs) else ""
    title = f"Epochs as a table{part}"
    table = _epoch_table(rows, state.best) if rows else None
    return LearningCurves(charts, table, title, f"Measured {training_note(state.started)}.")


def _marks(state: RunState, steps: int) -> list[ChartMark]:
    """The best epoch, changes of the learning rate by hand, and resumptions."""
    marks = []
    if state.best is not None:
        marks.append(ChartMark(state.best.step / steps, f"best: {state.best.epoch}", "best"))
    for marker in state.markers:
        if marker.what in ("lr", "resumed"):
            label = "" if marker.what == "resumed" else f"rate {marker.text}"
            marks.append(ChartMark(marker.step / steps, label, marker.what))
    return marks


def _epoch_table(epochs: Sequence[EpochEnded], best: EpochEnded | None) -> ReportTable:
    return ReportTable(
        "Results by epoch; training loss and accuracy are means over the epoch",
        ("epoch", "loss", "accuracy", "val loss", "val accuracy", "rate", "time"),
        [
            (
                f"{epoch.epoch} (best)" if epoch == best else f"{epoch.epoch}",
                format_number(epoch.train_loss),
                format_percent(epoch.train_accuracy),
                format_number(epoch.val_loss),
                format_percent(epoch.val_accuracy),
                format_number(epoch.lr, 6),
                format_duration(epoch.seconds, units=True),
            )
            for epoch in epochs
        ],
    )


def _thin_out(epochs: Sequence[EpochEnded], best: EpochEnded | None) -> list[EpochEnded]:
    """Every nth epoch, the last and the best."""
    stride = math.ceil(len(epochs) / MAX_ROWS)
    last = len(epochs) - 1
    return [
        epoch
        for index, epoch in enumerate(epochs)
        if index % stride == 0 or index == last or epoch == best
    ]

"""How a run learned: loss, accuracy and rate over the epochs, and the epochs as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmnist_tui.protocol.events import EpochEnded
from fmnist_tui.protocol.run_state import (
    LR,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    RunState,
)
from fmnist_tui.report.formatting import duration, number, percent
from fmnist_tui.report.html import Html, join, tag
from fmnist_tui.report.parts import table
from fmnist_tui.report.svg_chart import ChartCurve, ChartMark, line_chart

# More epochs than these are shown by a part of them.
ROWS = 100


def curves(state: RunState) -> Html | None:
    """Three charts side by side, or below each other; None where nothing was recorded."""
    epochs = max(1, state.started.steps_per_epoch) if state.started is not None else 1

    def points(name: str) -> list[tuple[float, float]]:
        return [(step / epochs, value) for step, value in state.series(name)]

    marks = _marks(state, epochs)
    best = next((mark for mark in marks if mark.kind == "best"), None)
    epoch = f"; the best epoch is {best.label.split()[-1]}" if best is not None else ""
    charts = [
        line_chart(
            "loss",
            [
                ChartCurve("training", "train", points(TRAIN_LOSS)),
                ChartCurve("validation", "val", points(VAL_LOSS)),
            ],
            about=f"Loss by epoch: {_ends(state, TRAIN_LOSS, VAL_LOSS, number)}{epoch}.",
            xlabel="epoch",
            ylabel="loss",
            told=lambda value: f"{value:g}",
            marks=marks,
        ),
        line_chart(
            "accuracy",
            [
                ChartCurve("training", "train", points(TRAIN_ACCURACY)),
                ChartCurve("validation", "val", points(VAL_ACCURACY)),
            ],
            about=f"Accuracy by epoch: {_ends(state, TRAIN_ACCURACY, VAL_ACCURACY, percent)}"
            f"{epoch}.",
            xlabel="epoch",
            ylabel="accuracy, %",
            told=lambda value: f"{100 * value:.4g}",
            marks=marks,
            ceiling=1.0,
        ),
        line_chart(
            "rate",
            [ChartCurve("learning rate", "rate", points(LR))],
            about="The learning rate by epoch.",
            xlabel="epoch",
            ylabel="",
            told=lambda value: f"{value:.3g}",
            marks=[mark for mark in marks if mark.kind != "best"],
            from_zero=True,
        ),
    ]
    drawn = [tag("figure", chart) for chart in charts if chart is not None]
    if not drawn:
        return None
    return join(tag("div", *drawn, class_="charts"), _epochs(state))


def _ends(state: RunState, train: str, val: str, told: object) -> str:
    words = []
    for name, label in ((train, "training"), (val, "validation")):
        points = state.series(name)
        if points and callable(told):
            words.append(f"{label} ends at {told(points[-1][1])}")
    return ", ".join(words) or "nothing was recorded"


def _marks(state: RunState, epochs: int) -> list[ChartMark]:
    """The best epoch, changes of the rate by hand, and where the run was taken up again."""
    found = []
    if state.best is not None:
        found.append(ChartMark(state.best.step / epochs, f"best: {state.best.epoch}", "best"))
    for marker in state.markers:
        if marker.what in ("lr", "resumed"):
            label = "" if marker.what == "resumed" else f"rate {marker.text}"
            found.append(ChartMark(marker.step / epochs, label, marker.what))
    return found


def _epochs(state: RunState) -> Html | None:
    epochs = list(state.epochs)
    if not epochs:
        return None
    shown = _few(epochs, state.best)
    rows = [
        (
            f"{epoch.epoch} (best)" if epoch == state.best else f"{epoch.epoch}",
            number(epoch.train_loss),
            percent(epoch.train_accuracy),
            number(epoch.val_loss),
            percent(epoch.val_accuracy),
            number(epoch.lr, 6),
            duration(epoch.seconds),
        )
        for epoch in shown
    ]
    part = f", {len(shown)} of {len(epochs):,}" if len(shown) < len(epochs) else ""
    heads = ("epoch", "loss", "accuracy", "val loss", "val accuracy", "rate", "time")
    return tag(
        "details",
        tag("summary", f"The epochs as figures{part}"),
        table("Figures of the epochs; accuracy and loss are means over the epoch", heads, rows),
    )


def _few(epochs: Sequence[EpochEnded], best: EpochEnded | None) -> list[EpochEnded]:
    """Every so manieth epoch, the last and the best."""
    stride = math.ceil(len(epochs) / ROWS)
    last = len(epochs) - 1
    return [
        epoch
        for place, epoch in enumerate(epochs)
        if place % stride == 0 or place == last or epoch == best
    ]

"""What a run came to, for a person: figures, loss chart, coloured confusion matrix."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from statistics import fmean

from rich.table import Table
from rich.text import Text

from fmnist_tui.analysis.metrics import ClassScore, class_scores
from fmnist_tui.analysis.overfitting import judge_fit
from fmnist_tui.cli.support.console import colours, console, duration, percent, unicode
from fmnist_tui.protocol.events import ENSEMBLE, LRFIND, Evaluated
from fmnist_tui.protocol.lr_curve import Point, frame
from fmnist_tui.protocol.lr_search import LrSearch
from fmnist_tui.protocol.lr_search import summary as told
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.render.line_chart import Line, line_chart
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.text import safe_text

CHART_WIDTH, CHART_HEIGHT = 100, 14
# Background of a cell by its share of the row, from nothing to all of it
RIGHT = ("", "on #0b2a1a", "on #0e3f26", "on #125c36", "on #167a46", "on #1a9956")
WRONG = ("", "on #2a1010", "on #471616", "on #6b1d1d", "on #8f2424", "on #b42b2b")


def summary(state: RunState, folder: RunFolder) -> None:
    """Print everything about an ended run."""
    if state.started is not None and state.started.kind == LRFIND:
        if state.search is not None:
            search_summary(state.search)
        console().print(f"run {safe_text(folder.path)}", soft_wrap=True)
        return
    out = console()
    chart = loss_chart(state)
    if chart:
        out.print(Text.from_ansi(chart))
    verdict = state.verdict("test") or state.verdict("val")
    if verdict is not None and state.started is not None:
        out.print()
        classes = state.started.classes
        out.print(confusion_table(verdict.confusion, classes, verdict.split))
        out.print()
        out.print(class_table(class_scores(verdict.confusion, classes)))
    out.print()
    out.print(
        verdict_table([found for split in ("val", "test") if (found := state.verdict(split))])
    )
    if state.epochs:
        fit = judge_fit(state)
        out.print(f"fit: {fit.verdict}. {fit.words}", soft_wrap=True, markup=False)
    why = f": {safe_text(state.message)}" if state.message else ""
    out.print(f"{state.ended or 'not ended'} {_after(state)}{why}", soft_wrap=True, markup=False)
    out.print(f"run {safe_text(folder.path)}", soft_wrap=True)


def search_summary(search: LrSearch) -> None:
    """Print the curve of a search for a learning rate, and what it says."""
    chart = lr_chart(search)
    if chart:
        console().print(Text.from_ansi(chart))
    if search.end is not None:
        console().print(Text(safe_text(told(search.end))), soft_wrap=True)


def lr_chart(search: LrSearch) -> str:
    """The losses that a search has found by their rates, smoothed, and the suggested point."""
    found = search.reading()
    curves: list[tuple[str, Sequence[Point], str]] = [
        ("loss", frame(search.points, found.smooth), "blue"),
        ("smoothed", found.smooth, "orange"),
    ]
    if found.lr is not None and found.loss is not None:
        curves.append((f"lr {found.lr:.2g}", [(found.lr, found.loss)], "red"))
    return line_chart(
        "loss by learning rate",
        [
            Line(name, [math.log10(lr) for lr, _ in points], [loss for _, loss in points], colour)
            for name, points, colour in curves
        ],
        min(CHART_WIDTH, shutil.get_terminal_size().columns),
        CHART_HEIGHT,
        xlabel="learning rate",
        colour=colours() != "none",
        ascii_only=not unicode(),
        powers=True,
    )


def _after(state: RunState) -> str:
    """What a run has done."""
    started = state.started
    if started is not None and started.kind == ENSEMBLE:
        took = duration(state.seconds)
        return f"after {took}: {safe_text(started.model)}, {started.parameters:,} parameters"
    speed = state.mean_images_per_second
    return (
        f"after {state.epochs_done} epochs, {state.step:,} steps, "
        f"{duration(state.train_seconds)} of training"
        + (f" at {speed:,.0f} images/s" if speed else "")
    )


def verdict_table(verdicts: Sequence[Evaluated]) -> Table:
    """The headline figures of one or more splits, each with its count and interval."""
    table = Table(box=None, pad_edge=False)
    for heading in ("split", "images", "accuracy", "95 % interval", "loss", "macro F1", "ECE"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for found in verdicts:
        table.add_row(
            found.split,
            f"{found.count:,}",
            Text(percent(found.accuracy), style="bold"),
            f"{found.accuracy_low * 100:.2f} – {found.accuracy_high * 100:.2f} %",
            f"{found.loss:.4f}",
            percent(found.macro_f1),
            percent(found.ece),
        )
    return table


def loss_chart(state: RunState) -> str:
    """Train and validation loss over the epochs."""
    per_epoch = state.started.steps_per_epoch if state.started else 1
    lines = []
    for name, label, colour in (("train_loss", "train", "cyan"), ("val_loss", "val", "orange")):
        points = state.series(name)
        xs = [step / per_epoch for step, _ in points]
        lines.append(Line(label, xs, [value for _, value in points], colour))
    width = min(CHART_WIDTH, shutil.get_terminal_size().columns)
    return line_chart(
        "loss",
        lines,
        width,
        CHART_HEIGHT,
        xlabel="epoch",
        colour=colours() != "none",
        ascii_only=not unicode(),
    )


def confusion_table(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], split: str
) -> Table:
    """Counts with heat: green on the diagonal, red off it, by share of the true class."""
    table = Table(
        title=f"confusion on {split} (rows: true, columns: predicted)",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 0),
        collapse_padding=True,
    )
    table.add_column("", no_wrap=True)
    for name in classes:
        table.add_column(safe_text(name)[:5], justify="right", no_wrap=True, min_width=6)
    for true, row in enumerate(confusion):
        total = max(1, sum(row))
        cells = [_cell(count / total, count, true == said) for said, count in enumerate(row)]
        table.add_row(Text(safe_text(classes[true], 14)), *cells)
    return table


def _cell(share: float, count: int, right: bool) -> Text:
    if right:
        level = min(5, int(share * 5.999)) if count else 0
    else:
        # One mistake in ten is already a lot: the colours of mistakes are used up by 20 %.
        level = min(5, 1 + int(share * 25)) if count else 0
    style = (RIGHT if right else WRONG)[level]
    text = f"{count:>5} " if count else "    · "
    return Text(text, style=f"bold {style}" if right else style or "dim")


def class_table(scores: Sequence[ClassScore]) -> Table:
    """Precision, recall and F1 of every class."""
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "precision", "recall", "F1", "support"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for score in scores:
        figures = (percent(value, 1) for value in (score.precision, score.recall, score.f1))
        table.add_row(Text(safe_text(score.name)), *figures, f"{score.support:,}")
    averages = (
        percent(fmean(getattr(score, figure) for score in scores), 1)
        for figure in ("precision", "recall", "f1")
    )
    count = sum(score.support for score in scores)
    table.add_row(Text("macro average", style="bold"), *averages, f"{count:,}")
    return table

"""The printed result of a run: scores, loss chart, coloured confusion matrix."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich.text import Text

from fmnist_tui.analysis.metrics import ClassScore, compute_class_scores
from fmnist_tui.analysis.overfitting import judge_fit
from fmnist_tui.cli.support import console
from fmnist_tui.protocol.events import ENSEMBLE, LRFIND, Evaluated
from fmnist_tui.protocol.lr_curve import chart_points
from fmnist_tui.protocol.lr_search import LrSearch, format_search_result
from fmnist_tui.protocol.run_state import TRAIN_LOSS, VAL_LOSS, RunState
from fmnist_tui.protocol.validation import find_validation, training_note
from fmnist_tui.render.axis import NUMBERS, POWERS
from fmnist_tui.render.line_chart import Line, suggest_log
from fmnist_tui.render.printed_chart import format_chart
from fmnist_tui.render.smoothing import LIGHT, OFF, smooth_line
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.class_names import names_width, short_names
from fmnist_tui.util.formatting import (
    format_count,
    format_duration,
    format_percent,
    format_percent_range,
)

if TYPE_CHECKING:
    from rich.table import Table

CHART_WIDTH, CHART_HEIGHT = 100, 14
# Background of a cell by its share of the row, from 0 to 1.
CORRECT = ("", "on #0b2a1a", "on #0e3f26", "on #125c36", "on #167a46", "on #1a9956")
WRONG = ("", "on #2a1010", "on #471616", "on #6b1d1d", "on #8f2424", "on #b42b2b")


def print_run(state: RunState, folder: RunFolder) -> None:
    """Print the results of a run that has ended."""
    if state.started is None or state.started.kind != LRFIND:
        _print_scores(state)
    elif state.search is not None:
        print_search(state.search)
    console.line(f"run {folder.path}")


def _print_scores(state: RunState) -> None:
    out = console.console()
    _print_losses(state)
    results = [result for split in ("val", "test") if (result := state.evaluation(split))]
    if results and state.started is not None:
        last, classes = results[-1], state.started.classes
        out.print()
        out.print(create_confusion_table(last.confusion, classes, last.split))
        out.print()
        out.print(create_class_table(compute_class_scores(last.confusion, classes)))
    out.print()
    _print_evaluations(state, results)
    val = find_validation(state)
    if val is not None and val.note:
        accuracy = format_percent(val.accuracy)
        console.line(f"val {accuracy} of {val.count:,} images (epoch {val.epoch}, {val.note})")
    readings = state.record.readings.get("test", 0)
    if readings > 1:
        console.line(f"the test split was evaluated {readings} times in this run")
    if state.epochs:
        fit = judge_fit(state)
        console.line(f"fit ({training_note(state.started)}): {fit.verdict}. {fit.explanation}")
    reason = f": {state.message}" if state.message else ""
    console.line(f"{state.end_reason or 'not ended'} {_format_work(state)}{reason}")


def _print_evaluations(state: RunState, results: Sequence[Evaluated]) -> None:
    """A line for each evaluation; `results` are those of the run's own checkpoint."""
    # The run's own figures first, then those of other checkpoints.
    evaluations = [(result.checkpoint, result) for result in results]
    for (_, name), other in state.record.evaluations.items():
        if other not in results:
            evaluations.append((name, other))
    if not evaluations:
        return
    headings = ("split", "checkpoint", ">images", ">accuracy", ">95 % interval", ">loss")
    console.print_table(
        (*headings, ">macro F1", ">ECE"),
        (
            (
                result.split,
                name,
                f"{result.count:,}",
                Text(format_percent(result.accuracy), style="bold" if result in results else ""),
                format_percent_range(result.accuracy_low, result.accuracy_high),
                f"{result.loss:.4f}",
                format_percent(result.macro_f1),
                format_percent(result.ece),
            )
            for name, result in evaluations
        ),
    )


def print_search(search: LrSearch) -> None:
    """Print the losses of a search by learning rate, smoothed, and the suggested point."""
    suggestion = search.suggestion()
    losses = [loss for _, loss in chart_points(search.points, suggestion.smooth)]
    rates = [math.log10(lr) for lr, _ in suggestion.smooth]
    levels = [level for _, level in suggestion.smooth]
    lines = [Line("smoothed", rates, levels, "blue", losses, losses)]
    if suggestion.lr is not None and suggestion.loss is not None:
        name = f"lr {suggestion.lr:.2g}"
        lines.append(Line(name, [math.log10(suggestion.lr)], [suggestion.loss], "red"))
    _print_chart("loss by learning rate", lines, "learning rate", numbers=POWERS)
    if search.end is not None:
        console.line(format_search_result(search.end))


def _print_losses(state: RunState) -> None:
    per_epoch = state.started.steps_per_epoch if state.started else 1
    lines = []
    for name, label, colour in ((TRAIN_LOSS, "train", "cyan"), (VAL_LOSS, "val", "orange")):
        points = [(step / per_epoch, value) for step, value in state.series(name)]
        lines.append(smooth_line(label, points, colour, LIGHT if name == TRAIN_LOSS else OFF))
    _print_chart("loss", lines, "epoch", log=suggest_log(lines))


def _print_chart(
    title: str, lines: list[Line], xlabel: str, *, numbers: str = NUMBERS, log: bool = False
) -> None:
    if console.is_plain():
        return
    chart = format_chart(
        title,
        lines,
        min(CHART_WIDTH, shutil.get_terminal_size().columns),
        CHART_HEIGHT,
        xlabel=xlabel,
        colour=console.colour_depth() != "none",
        ascii_only=not console.has_unicode(),
        numbers=numbers,
        log=log,
    )
    if chart:
        console.console().print(Text.from_ansi(chart))


def _format_work(state: RunState) -> str:
    """`after 5 epochs, 1,055 steps, 0:45 warm (0:42 in steps at 5,900 images/s), 0:51 in all`.

    Runs of earlier versions do not tell their warm wall time."""
    started = state.started
    if started is not None and started.kind == ENSEMBLE:
        seconds = format_duration(state.seconds)
        return f"after {seconds}: {started.model}, {started.parameters:,} parameters"
    steps = f"{format_duration(state.train_seconds)} in steps"
    if speed := state.mean_images_per_second:
        steps += f" at {speed:,.0f} images/s"
    warm = state.warm_seconds
    return (
        f"after {format_count(state.epochs_done, 'epoch')}, {format_count(state.step, 'step')}, "
        + (f"{format_duration(warm)} warm ({steps})" if warm is not None else steps)
        + f", {format_duration(state.seconds)} in all"
    )


def create_confusion_table(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], split: str
) -> Table:
    """The confusion matrix as a heat map, coloured by share of the true class."""
    from rich.table import Table

    table = Table(
        title=f"confusion on {split} (rows: true, columns: predicted)",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 0),
        collapse_padding=True,
    )
    table.add_column("", no_wrap=True)
    # As wide as the terminal allows, for names that are not cut.
    names, count = short_names(classes, 14), max(1, len(classes))
    room = (shutil.get_terminal_size().columns - names_width(classes, 14)) // count
    width = max(6, min(room, 1 + names_width(classes, 8)))
    for name in short_names(classes, width - 1):
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    for true, row in enumerate(confusion):
        total = max(1, sum(row))
        cells = (
            _draw_cell(count / total, count, true == predicted, width)
            for predicted, count in enumerate(row)
        )
        table.add_row(Text(names[true]), *cells)
    return table


def _draw_cell(share: float, count: int, correct: bool, width: int) -> Text:
    # Errors are rarer: their colours reach full strength at 20 % of the row.
    level = min(5, int(share * 5.999) if correct else 1 + int(share * 25)) if count else 0
    style = (CORRECT if correct else WRONG)[level]
    text = f"{count or '·':>{width - 1}} "
    return Text(text, style=f"bold {style}" if correct else style or "dim")


def create_class_table(scores: Sequence[ClassScore]) -> Table:
    """Precision, recall and F1 of every class."""
    figures = ("precision", "recall", "f1")
    rows: list[list[object]] = [
        [
            score.name,
            *(format_percent(getattr(score, figure), 1) for figure in figures),
            f"{score.support:,}",
        ]
        for score in scores
    ]
    means = (fmean(getattr(score, figure) for score in scores) for figure in figures)
    count = sum(score.support for score in scores)
    averages = (format_percent(mean, 1) for mean in means)
    rows.append([Text("macro average", style="bold"), *averages, f"{count:,}"])
    return console.create_table(("class", ">precision", ">recall", ">F1", ">support"), rows)

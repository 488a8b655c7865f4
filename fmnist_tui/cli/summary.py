"""What a run came to, for a person: figures, loss chart, coloured confusion matrix."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from fmnist_tui.charts import Line, line_chart
from fmnist_tui.cli.output import colours, console, duration, percent, unicode
from fmnist_tui.events import Evaluated
from fmnist_tui.metrics import Evaluation
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.state import RunState
from fmnist_tui.text import safe_text

CHART_WIDTH, CHART_HEIGHT = 100, 14
# Background of a cell by its share of the row, from nothing to all of it
RIGHT = ("", "on #0b2a1a", "on #0e3f26", "on #125c36", "on #167a46", "on #1a9956")
WRONG = ("", "on #2a1010", "on #471616", "on #6b1d1d", "on #8f2424", "on #b42b2b")


def summary(state: RunState, folder: RunFolder) -> None:
    """Print everything about an ended run."""
    out = console()
    chart = loss_chart(state)
    if chart:
        out.print(Text.from_ansi(chart))
    verdict = state.verdict("test") or state.verdict("val")
    if verdict is not None and state.started is not None:
        out.print()
        out.print(confusion_table(verdict.confusion, state.started.classes, verdict.split))
    out.print()
    out.print(
        verdict_table([found for split in ("val", "test") if (found := state.verdict(split))])
    )
    speed = state.mean_images_per_second
    out.print(
        f"{state.ended or 'not ended'} after {state.epochs_done} epochs, "
        f"{state.step:,} steps, {duration(state.train_seconds)} of training"
        + (f" at {speed:,.0f} images/s" if speed else "")
        + (f": {safe_text(state.message)}" if state.message else ""),
        soft_wrap=True,
    )
    out.print(f"run {safe_text(folder.path)}", soft_wrap=True)


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


def class_table(evaluation: Evaluation) -> Table:
    """Precision, recall and F1 of every class."""
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "precision", "recall", "F1", "support"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for score in evaluation.classes:
        figures = (percent(value, 1) for value in (score.precision, score.recall, score.f1))
        table.add_row(Text(safe_text(score.name)), *figures, f"{score.support:,}")
    averages = (evaluation.macro_precision, evaluation.macro_recall, evaluation.macro_f1)
    figures = (percent(value, 1) for value in averages)
    table.add_row(Text("macro average", style="bold"), *figures, f"{evaluation.count:,}")
    return table

"""Runs as a table, and as the JSON documents list them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from fmnist_tui.cli.support import console
from fmnist_tui.cli.support.runs.notes import notes_to_json
from fmnist_tui.protocol.validation import MARK_MEANING
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.runs.notes import format_tags
from fmnist_tui.util.formatting import format_duration, format_percent, format_time
from fmnist_tui.util.text import safe_text

STATE_STYLES = {
    "running": "green",
    "detached": "cyan",
    **dict.fromkeys(("paused", "stopped"), "yellow"),
    **dict.fromkeys(("failed", "crashed", "broken"), "red"),
}
LIST_COLUMNS: dict[str, Callable[[RunSummary], object]] = {
    "id": lambda summary: safe_text(summary.run.id),
    "state": lambda summary: Text(safe_text(summary.state), STATE_STYLES.get(summary.state, "")),
    "name": lambda summary: safe_text(summary.title),
    "tags": lambda summary: format_tags(summary.notes),
    "dataset": lambda summary: safe_text(summary.dataset),
    "model": lambda summary: safe_text(summary.model),
    ">epochs": lambda summary: (
        f"{summary.epochs_done}/{summary.epochs_total}" if summary.epochs_total else "–"
    ),
    ">val": lambda summary: summary.val_text,
    ">test": lambda summary: format_percent(summary.test_accuracy),
    ">time": lambda summary: format_duration(summary.shown_seconds),
    "started": lambda summary: format_time(summary.started),
}
# Names are shortened to fit, to no less and no more than this.
NAMES, NAME_LENGTHS = ("name", "tags", "dataset", "model"), range(12, 21)
# Columns that are left out where there is no room, the first one first.
LEFT_OUT = ("model", "started", ">time", "dataset", ">epochs", ">test", ">val", "tags", "name")
COLUMN_GAP = 2


def to_json(summary: RunSummary) -> dict[str, Any]:
    """A run as the JSON documents list it."""
    return {
        "run": summary.run.name,
        "id": summary.run.id,
        "path": str(summary.run.path),
        **console.pick(summary, "kind", "state", "reason", "recipe", "dataset", "model"),
        "synthetic": summary.synthetic,
        "epochs": summary.epochs_done,
        "epochs_total": summary.epochs_total,
        "val_accuracy": summary.best_val_accuracy,
        "val_during_training": bool(summary.val_note),
        **console.pick(summary, "test_accuracy", "seconds", "warm_seconds", "started"),
        "train_seconds": summary.train_seconds,
        "seed": summary.seed,
        **notes_to_json(summary.notes),
        "pid": summary.holder.pid if summary.holder else None,
    }


def print_runs(summaries: Sequence[RunSummary]) -> None:
    """Print the runs as a table, a line each."""
    columns = {
        heading: [cell(summary) for summary in summaries] for heading, cell in LIST_COLUMNS.items()
    }
    if not any(columns["tags"]):
        del columns["tags"]
    columns = _fit_columns(columns, console.console().width)
    rows = zip(*columns.values(), strict=True)
    console.print_table(columns, rows, no_wrap=True, whole_ids=True)
    explain_mark(summaries)


def explain_mark(summaries: Sequence[RunSummary]) -> None:
    """Say what the mark of a figure means, if one has it."""
    if any(summary.val_note for summary in summaries):
        console.note(MARK_MEANING)


def _fit_columns(columns: dict[str, list[object]], width: int) -> dict[str, list[object]]:
    """The columns that fit into a width, with shortened names, but whole ids."""
    widths = {
        heading: max(cell_len(str(cell)) for cell in (heading.removeprefix(">"), *cells))
        for heading, cells in columns.items()
    }

    def fits(length: int) -> bool:
        used = (min(length, own) if name in NAMES else own for name, own in widths.items())
        return sum(used) + COLUMN_GAP * (len(widths) - 1) <= width

    for heading in LEFT_OUT:
        if fits(NAME_LENGTHS[0]):
            break
        widths.pop(heading, None)
    length = next(filter(fits, reversed(NAME_LENGTHS)), NAME_LENGTHS[0])
    return {
        heading: [safe_text(cell, length) for cell in columns[heading]]
        if heading in NAMES
        else columns[heading]
        for heading in widths
    }

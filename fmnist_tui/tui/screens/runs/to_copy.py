"""What can be copied from Runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.base.copying import CopyTable, ToCopy, repeat_command
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util.formatting import format_percent

HEADINGS = (
    "run",
    "state",
    "dataset",
    "model",
    "epochs",
    "val",
    "test",
    "seconds",
    "warm_seconds",
    "started",
)


def runs_to_copy(
    app_state: AppState,
    shown: Iterable[RunSummary],
    current: RunSummary | None,
    marked: Sequence[RunSummary],
) -> ToCopy:
    """The run under the cursor, the table, and `runs compare` or `runs show` for the same runs."""
    table = CopyTable(HEADINGS, [_row(run) for run in shown])
    if current is None:
        return ToCopy(table=table, command=repeat_command(app_state, "runs", "list"))
    words = ("compare", *(run.run.name for run in marked)) if len(marked) > 1 else ()
    words = words or ("show", current.run.name)
    command = repeat_command(app_state, "runs", *words)
    return ToCopy(current.run.name, table, current.run.path, command)


def _row(run: RunSummary) -> tuple[object, ...]:
    epochs = f"{run.epochs_done}/{run.epochs_total}" if run.epochs_total else ""
    started = datetime.fromtimestamp(run.started).isoformat(" ", "seconds")
    scores = (run.val_text, format_percent(run.test_accuracy))
    about = (run.run.name, run.state, run.dataset, run.model, epochs)
    warm = "" if run.warm_seconds is None else f"{run.warm_seconds:.1f}"
    return (*about, *scores, f"{run.seconds:.1f}", warm, started)

"""What can be copied from Sweep."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fmnist_tui.sweeps.snapshot import Snapshot, StudySummary, TrialView
from fmnist_tui.sweeps.space import format_value
from fmnist_tui.tui.base.copying import CopyTable, ToCopy, repeat_command
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util.formatting import format_percent


def study_to_copy(
    app_state: AppState,
    study: StudySummary | None,
    snapshot: Snapshot | None,
    trials: Iterable[TrialView],
    current: TrialView | None,
) -> ToCopy:
    """The settings of the trial under the cursor, the table of trials, and `sweep show`."""
    if study is None or snapshot is None:
        return ToCopy()
    keys = [dimension.key for dimension in snapshot.spec.space]
    rows = [
        (
            trial.number,
            trial.state,
            format_percent(trial.value),
            trial.epochs,
            "" if trial.seconds is None else f"{trial.seconds:.1f}",
            *(format_value(trial.params[key]) if key in trial.params else "" for key in keys),
        )
        for trial in trials
    ]
    headings = ("trial", "state", "val", "epochs", "seconds", *keys)
    settings = current.params.items() if current is not None else ()
    value = " ".join(f"--{key.replace('_', '-')}={format_value(value)}" for key, value in settings)
    command = repeat_command(app_state, "sweep", "show", study.name)
    if study.location.path is None:
        command.append(f"--storage={study.location.public_url}")
    path = Path(current.run) if current is not None and current.run else None
    return ToCopy(value, CopyTable(headings, rows), path, command)

"""Choosing what to ask: a run, or a model file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import BROKEN, RunSummary, list_runs
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.paths import expand_home

FILE = ("", "a model file …")
NONE = ("none", "none: begin with random weights")


def pick_model(
    screen: DashboardScreen,
    run: Callable[[RunFolder], None],
    file: Callable[[Path], None],
    none: Callable[[], None] | None = None,
) -> None:
    """Have the user choose; `run` or `file` is called with what was chosen, `none` (where it
    is offered) for no model at all."""
    offer = partial(_offer, screen, run, file, none)
    screen.later(partial(list_runs, screen.app_state.runs_dir), offer, group="runs")


def _offer(
    screen: DashboardScreen,
    run: Callable[[RunFolder], None],
    file: Callable[[Path], None],
    none: Callable[[], None] | None,
    runs: list[RunSummary],
) -> None:
    known = {one.run.name: one.run for one in runs if one.state != BROKEN}
    items = [(one.run.name, _listed(one)) for one in runs if one.run.name in known]
    offered = [*items, FILE] if none is None else [NONE, *items, FILE]

    def picked(name: str | None) -> None:
        if name == FILE[0]:
            ask = PromptDialog("Which model file", "", "its path: .pt, .pth or .safetensors")
            screen.over(ask, named)
        elif name == NONE[0] and none is not None:
            none()
        elif name is not None:
            run(known[name])

    def named(name: str | None) -> None:
        if name and name.strip():
            file(expand_home(name.strip()))

    screen.over(PickerDialog("Which model", offered), picked)


def _listed(run: RunSummary) -> str:
    best = format_percent(run.best_val_accuracy)
    return f"{run_name(run):<24} {run.state:<9} best val {best}"

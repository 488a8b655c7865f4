"""Dialogs for choosing a model: a run, or a model file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import BROKEN, list_runs
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.util.paths import expand_home

_FILE = ("", "a model file …")
_NONE = ("none", "none: start with random weights")


async def pick_model(
    screen: DashboardScreen, allow_none: bool = False
) -> RunFolder | Path | Literal["none"] | None:
    """Let the user choose a run, a model file or, if allowed, "none"; None where cancelled."""
    summaries = await screen.in_thread(partial(list_runs, screen.app_state.runs_dir))
    runs: dict[str, RunFolder] = {}
    items = [_NONE] if allow_none else []
    for summary in summaries:
        if summary.state != BROKEN:
            text = f"{run_name(summary):<24} {summary.state:<9} val {summary.val_text}"
            items.append((summary.run.name, text))
            runs[summary.run.name] = summary.run
    choice = await screen.ask(PickerDialog("Which model", [*items, _FILE]))
    if choice == _FILE[0]:
        hint = "path of a .pt, .pth or .safetensors file"
        path = await screen.ask(PromptDialog("Which model file", "", hint))
        return expand_home(path.strip()) if path and path.strip() else None
    if choice == "none" and allow_none:
        return "none"
    return runs[choice] if choice is not None else None

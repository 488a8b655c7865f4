"""Trainings on several devices: the commands that train them in processes of their own."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan, TrainStep
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.distributed.launch import choose_launch, plan_configs
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import DetachedTraining
from fmnist_tui.runs.resolve_start import resolve_start
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.background_run import BackgroundRun


def train_apart(app_state: AppState, plan: Plan) -> BackgroundRun:
    """Train the steps of a plan; a UserError where that is not possible here."""
    launch = choose_launch(plan_configs(plan))
    plan = plan.resolve_starts(lambda start: str(resolve_start(start, app_state.runs_dir)))
    descriptor, name = tempfile.mkstemp(prefix="fmnist-tui-", suffix=".json")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(plan.to_json())
    words = _words(app_state, f"--plan={name}")
    start = partial(DetachedTraining, words, app_state.runs_dir.absolute(), launch=launch)
    headings = [replace(plan, runs=(Path(),) * done).heading for done in range(len(plan.steps))]
    return BackgroundRun(
        start, tuple(headings), on_line=app_state.printed.append, files=(Path(name),)
    )


def resume_apart(app_state: AppState, folder: RunFolder, config: RunConfig) -> BackgroundRun:
    """Resume a run with these settings."""
    words = _words(app_state, f"--resume={folder.path.absolute()}", *_changes(folder, config))
    launch = choose_launch([config])
    start = partial(DetachedTraining, words, folder.path.absolute().parent, folder, launch)
    return BackgroundRun(start, on_line=app_state.printed.append)


def fork_apart(
    app_state: AppState, parent: RunFolder, checkpoint: str, config: RunConfig
) -> BackgroundRun:
    """Start a run from a checkpoint of another, with these settings."""
    options = f"--fork={parent.path.absolute()}", f"--checkpoint={checkpoint}"
    words = _words(app_state, *options, *_changes(parent, config))
    start = partial(
        DetachedTraining, words, app_state.runs_dir.absolute(), launch=choose_launch([config])
    )
    return BackgroundRun(start, on_line=app_state.printed.append)


def single_step(config: RunConfig) -> Plan:
    return Plan(config.recipe, (TrainStep("", config),))


def _words(app_state: AppState, *options: str) -> list[str]:
    folders = app_state.runs_dir.absolute(), app_state.data_dir.absolute()
    return ["train", *options, f"--runs={folders[0]}", f"--data={folders[1]}"]


def _changes(folder: RunFolder, config: RunConfig) -> list[str]:
    """The flags of the settings that differ from those of a run."""
    saved = recipes.read_recipe(folder.config).config()
    changes = saved.differences(config)
    return [f"--{name.replace('_', '-')}={_as_text(mine)}" for name, (_, mine) in changes.items()]


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)

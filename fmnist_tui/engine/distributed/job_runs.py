"""The run that a job of torchrun has begun, to go on with when the job is started again."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fmnist_tui.config.recipes import read_recipe
from fmnist_tui.config.run_config import RunConfig, setting_group
from fmnist_tui.engine.distributed.place import JOB_KEY
from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text_file import read_toml


def find_run_of_job(runs_dir: Path, job: str, config: RunConfig) -> RunFolder | None:
    """The newest run that this job has begun with these settings; those of the machine, and where
    the initial weights lie, may differ."""
    found = (
        folder
        for folder in list_run_folders(runs_dir)
        if _read_job(folder) == job and _is_same(folder, config)
    )
    return max(found, key=lambda folder: folder.name, default=None)


def _read_job(folder: RunFolder) -> object:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return read_toml(folder.config)["made_with"][JOB_KEY]
    return None


def _is_same(folder: RunFolder, config: RunConfig) -> bool:
    try:
        differences = config.differences(read_recipe(folder.config).config())
    except UserError:
        return False
    return all(name == "start" or setting_group(name) == "machine" for name in differences)

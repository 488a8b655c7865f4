"""Where studies are stored, as the run folders of sweeps record it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.sweeps.storage import StorageLocation, parse_location
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import read_toml

# The subfolder of a sweep's run folder that holds the runs of its trials.
TRIALS = "trials"


def study_of_run(folder: RunFolder) -> tuple[StorageLocation, str]:
    """Where the study of a sweep's run is stored, and its name."""
    file = safe_text(folder.config)
    try:
        document = read_toml(folder.config)
        storage, name = document["made_with"]["storage"], document["sweep"]["name"]
        if not isinstance(storage, str) or not isinstance(name, str):
            raise TypeError
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {format_error(error)}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file}: is not the config of a sweep") from None
    return parse_location(storage, folder.path.parent), name


def list_locations(runs_dir: Path, requested: str | None = None) -> list[StorageLocation]:
    """The requested or default storage, then those recorded by the sweeps in the runs folder.

    The requested one comes first: it may hold a password, which records never do."""
    first = parse_location(requested, runs_dir)
    locations = {first.public_url: first}
    for folder in list_run_folders(runs_dir):
        if not os.path.isdir(folder.path / TRIALS):  # noqa: PTH112 - called for every run
            continue
        with contextlib.suppress(UserError):
            location, _ = study_of_run(folder)
            locations.setdefault(location.public_url, location)
    return list(locations.values())

"""What the folders of sweeps say of where their studies are kept."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from fmnist_tui.runs.folder import RunFolder, run_folders
from fmnist_tui.sweeps.storage import StudyStorage, place
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

# The folder in a sweep's own in which its trials are recorded.
TRIALS = "trials"


def of_run(folder: RunFolder) -> tuple[StudyStorage, str]:
    """Where the study of a sweep's folder is kept, and its name."""
    where = safe_text(folder.config)
    try:
        document = tomllib.loads(folder.config.read_text(encoding="utf-8"))
        storage, name = document["made_with"]["storage"], document["sweep"]["name"]
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {safe_text(reason(error))}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{where}: is not the record of a sweep") from None
    if not isinstance(storage, str) or not isinstance(name, str):
        raise UserError(f"{where}: is not the record of a sweep")
    return place(storage, folder.path.parent), name


def places(runs_dir: Path, given: str | None = None) -> list[StudyStorage]:
    """Where studies may be: where it was said, or as usual, and where the sweeps of the runs
    folder say. What was given comes first: it may hold a password, which records do not."""
    found = {(first := place(given, runs_dir)).shown: first}
    for folder in run_folders(runs_dir):
        if not os.path.isdir(folder.path / TRIALS):  # noqa: PTH112 - done for every run
            continue
        try:
            where, _ = of_run(folder)
        except UserError:
            continue
        found.setdefault(where.shown, where)
    return list(found.values())

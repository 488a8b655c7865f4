"""Archives, unarchives and deletes runs."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from fmnist_tui.runs.folder import ARCHIVE_FOLDER, RunFolder
from fmnist_tui.runs.lock import LOCK_FILE, RunLock
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

_DELETING = ".deleting-"


def archive(run: RunFolder) -> RunFolder:
    """Move the run into the folder `archive` beside it; a UserError if it is live."""
    if run.path.parent.name == ARCHIVE_FOLDER:
        raise UserError(f"the run {safe_text(run.name)} is already archived")
    if run.path.is_symlink():
        raise UserError(f"the run {safe_text(run.path)} is a link; archive its target instead")
    target = run.path.parent / ARCHIVE_FOLDER / run.name
    if target.exists():
        raise UserError(f"the archive already holds a run {safe_text(run.name)}; rename one")
    return _move(run, target, "archive")


def unarchive(run: RunFolder) -> RunFolder:
    """Move an archived run back into the folder of runs."""
    if run.path.parent.name != ARCHIVE_FOLDER:
        raise UserError(f"the run {safe_text(run.name)} is not archived")
    target = run.path.parent.parent / run.name
    if target.exists():
        raise UserError(f"there is another run {safe_text(run.name)}; rename one")
    return _move(run, target, "unarchive")


def _move(run: RunFolder, target: Path, action: str) -> RunFolder:
    with _locked(run):
        try:
            target.parent.mkdir(exist_ok=True)
            run.path.rename(target)
        except OSError as error:
            raise UserError(
                f"cannot {action} the run {safe_text(run.name)}: {format_error(error)}"
            ) from error
    return RunFolder(target)


def delete(run: RunFolder) -> None:
    """Delete the run and all its files; a UserError if it is live.

    Links are removed, never followed. The run is renamed first, so that it disappears at
    once; leftovers of an interrupted deletion are removed by the next one.
    """
    if not run.is_run():
        raise UserError(f"not deleted: {safe_text(run.path)} is not a run")
    folder = run.path.parent
    deleting = folder / f"{_DELETING}{secrets.token_hex(8)}"
    try:
        with _locked(run):
            run.path.rename(deleting)
        if deleting.is_symlink():
            deleting.unlink()
        else:
            _remove(deleting)
    except OSError as error:
        raise UserError(
            f"cannot delete the run {safe_text(run.path)}: {format_error(error)}"
        ) from error
    for leftover in folder.glob(f"{_DELETING}*"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _locked(run: RunFolder) -> Iterator[None]:
    """Hold the run's lock. A run without a lock file was never trained, or is damaged; no file
    is created then, because deleting must work on a full disk."""
    if (run.path / LOCK_FILE).is_file():
        with RunLock.acquire(run.path):
            yield
    else:
        yield


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except PermissionError:
        # Entries of a folder without write permission cannot be removed.
        folder.chmod(0o700)
        for parent, names, _ in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)

"""Putting runs away: into the archive, or out of the world."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from fmnist_tui.runs.folder import ARCHIVE, RunFolder
from fmnist_tui.runs.lock import LOCK, RunLock
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

_DOOMED = ".deleting-"


def archive(run: RunFolder) -> RunFolder:
    """Move the run into the folder `archive` beside it; refused while it is live."""
    if run.path.parent.name == ARCHIVE:
        raise UserError(f"the run {safe_text(run.name)} is archived already")
    if run.path.is_symlink():
        raise UserError(f"the run {safe_text(run.path)} is a link; archive what it leads to")
    target = run.path.parent / ARCHIVE / run.name
    if target.exists():
        raise UserError(f"the archive holds a run {safe_text(run.name)} already; rename one")
    with _held_still(run):
        try:
            target.parent.mkdir(exist_ok=True)
            run.path.rename(target)
        except OSError as error:
            raise UserError(
                f"cannot archive the run {safe_text(run.name)}: {reason(error)}"
            ) from error
    return RunFolder(target)


def delete(run: RunFolder) -> None:
    """Remove the run and all it holds; refused while it is live.

    Links are removed, never followed. The run is renamed first, so that it is gone at
    once for everybody; what an interrupted removal leaves goes with the next.
    """
    if not run.is_run():
        raise UserError(f"not deleted: {safe_text(run.path)} is no run")
    folder = run.path.parent
    doomed = folder / f"{_DOOMED}{secrets.token_hex(8)}"
    try:
        with _held_still(run):
            run.path.rename(doomed)
        if doomed.is_symlink():
            doomed.unlink()
        else:
            _remove(doomed)
    except OSError as error:
        raise UserError(f"cannot delete the run {safe_text(run.path)}: {reason(error)}") from error
    for left in folder.glob(f"{_DOOMED}*"):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _held_still(run: RunFolder) -> Iterator[None]:
    """Nobody trains the run meanwhile. A run without a lock was never trained, or is in
    pieces; none is made then, for deleting must work on a full disk."""
    if (run.path / LOCK).is_file():
        with RunLock.acquire(run.path):
            yield
    else:
        yield


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except PermissionError:
        # Folders without the right to write keep what is in them.
        folder.chmod(0o700)
        for parent, names, _ in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)

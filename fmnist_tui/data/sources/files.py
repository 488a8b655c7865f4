"""Cancelling, folders and checksums, for what fetches and writes data files."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

_LOOK_EVERY = 0.1


class CancelError(UserError):
    """Somebody asked for an end before the data were there."""

    def __init__(self) -> None:
        super().__init__("cancelled before the data were there; what had come is kept")


def check_cancel(cancel: threading.Event | None) -> None:
    """Raises CancelError if that was asked for."""
    if cancel is not None and cancel.is_set():
        raise CancelError


def make_folder(folder: Path) -> Path:
    """The folder, there from now on; a UserError says why it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{safe_text(folder)}: cannot be made: {reason(error)}") from error
    return folder


def md5_of(path: Path) -> str:
    """The MD5 of a file, as publishers state it; no protection against malice."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

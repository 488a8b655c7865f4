"""Files that are whole or not there, and the lock between processes that make them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` only once all of it is on the disk."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        move(Path(name), path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def move(source: Path, target: Path) -> None:
    """Rename, and have the folder remember it through a power cut."""
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        # Some network file systems know no fsync of a folder.
        with contextlib.suppress(OSError):
            os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(
    path: Path,
    cancel: threading.Event | None = None,
    waiting: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Holds the lock file at `path`; waits, telling so once, while another process does.

    The system frees the lock of a process that ends, however it ends. The file stays:
    removing it would let two processes hold two locks of one name.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while not _taken(handle):
            if waiting is not None:
                waiting()
                waiting = None
            check_cancel(cancel)
            time.sleep(_LOOK_EVERY)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: nothing to wait for.
        return True
    return True

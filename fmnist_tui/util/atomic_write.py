"""Atomic file writes: to a temporary file beside the target, synced, then renamed over it.

A temporary file or folder is locked while it is written. One that is not locked was left behind by
a killed process: `remove_stale_temporaries` deletes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

Chunk = bytes | bytearray | memoryview

_PREFIX, _SUFFIX = ".writing-", ".tmp"


def atomic_write(path: Path, data: Chunk | Iterable[Chunk]) -> None:
    """Make `path` hold `data`; see `open_atomic`."""
    with open_atomic(path) as file:
        for chunk in [data] if isinstance(data, (bytes, bytearray, memoryview)) else data:
            file.write(chunk)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that replaces `path` once all of it is on the disk.

    After a crash at any moment `path` is the old file or the new one. Raises OSError when
    it cannot be written; the old file is then untouched (unless only the last step failed,
    making the rename outlast a power cut) and nothing is left behind.
    """
    temporary, descriptor = create_temporary(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Renamed while it is locked, so that `remove_stale_temporaries` leaves it alone.
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` to prepare files in. It is removed at the end; if the process is
    killed, by the next one that prepares files in `parent`."""
    remove_stale_temporaries(parent)
    path, descriptor = _create_folder(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder, and make the new name outlast a power cut."""
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` outlast a power cut, on file systems that can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove_stale_temporaries(folder: Path) -> list[Path]:
    """Remove what killed processes left in `folder`; returns the paths."""
    removed = []
    for path in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
        # One that cannot be opened, locked or removed is in use or no longer exists.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(path)
    return removed


def _create_folder(parent: Path) -> tuple[Path, int]:
    """A new temporary folder and its descriptor, which is locked until it is closed."""
    while True:
        path = Path(tempfile.mkdtemp(_SUFFIX, _PREFIX, parent))
        # Another process may remove it as stale before it is locked.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.exists():
                return path, descriptor
            os.close(descriptor)


def create_temporary(folder: Path, flags: int = os.O_WRONLY) -> tuple[Path, int]:
    """A new temporary file in `folder` and its descriptor, which is locked until it is closed."""
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        # On a file system without locks the file is not locked, and is never removed as stale.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Another process may have removed it as stale before it was locked.
        if path.exists():
            return path, descriptor
        os.close(descriptor)

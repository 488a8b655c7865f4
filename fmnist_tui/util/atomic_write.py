"""Files that are whole or not there: written aside, made safe, then renamed into place.

A temporary is locked by whoever writes it, so a stray left by a killed process can be
told from one that is being written at this moment.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

Chunk = bytes | bytearray | memoryview

_PREFIX, _SUFFIX = ".writing-", ".tmp"


def atomic_write(path: Path, data: Chunk | Iterable[Chunk]) -> None:
    """Make `path` hold `data`: after a crash at any moment it is the old file or the new one.

    Raises OSError when that cannot be done; the old file is then untouched (unless it
    was the last step that failed, making the rename itself outlast a power cut) and
    nothing is left behind.
    """
    chunks = [data] if isinstance(data, (bytes, bytearray, memoryview)) else data
    temporary, descriptor = _create_locked(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            # Renamed while still open, thus still locked: never a moment in which a
            # sweep could take the finished file for a stray.
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


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


def sweep_strays(folder: Path) -> list[Path]:
    """Remove the temporaries that killed writers left in `folder`; says which."""
    removed = []
    for path in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
        # Whatever cannot be opened, locked or removed is another's, or gone by itself.
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed.append(path)
    return removed


def _create_locked(folder: Path) -> tuple[Path, int]:
    """A new temporary in `folder` that no sweep will touch, with its descriptor."""
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        # A file system without locks still gets its file; there strays are never swept.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A sweep may have come between the creation and the lock.
        if path.exists():
            return path, descriptor
        os.close(descriptor)

"""A value that changes when a file does, found without reading it."""

from __future__ import annotations

from pathlib import Path

FileStamp = tuple[str, int, int, int, int]


def stamp_file(path: Path) -> FileStamp:
    """Raises an OSError if there is no such file."""
    status = path.stat()
    times = status.st_mtime_ns, status.st_ctime_ns
    return str(path), status.st_ino, status.st_size, *times

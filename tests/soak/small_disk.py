"""A small disk in memory that can be filled, emptied and made read-only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = 4096


class SmallDisk:
    """A tmpfs, mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / ".filler"

    def fill(self, leave: int) -> None:
        """Leave so many KB."""
        stat = os.statvfs(self.path)
        size = stat.f_bavail * stat.f_frsize - leave * 1024
        if size >= PAGE:
            descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
            os.posix_fallocate(descriptor, 0, size // PAGE * PAGE)
            os.close(descriptor)

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)

    def set_read_only(self, read_only: bool) -> None:
        mode = "ro" if read_only else "rw"
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True)


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int = 4096) -> Iterator[SmallDisk]:
    """Mount a small disk in `folder`, until the block ends."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", name]
        subprocess.run(words, check=True, capture_output=True)
        try:
            yield SmallDisk(Path(name))
        finally:
            # Also while a process that is about to end has a file open there.
            subprocess.run(["umount", "--lazy", name], check=True)


def can_mount(folder: Path) -> bool:
    try:
        with small_disk(folder):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def hashes(folder: Path) -> dict[str, str]:
    """A hash of every file in a folder, but for locks and the filler."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", ".filler")
    }

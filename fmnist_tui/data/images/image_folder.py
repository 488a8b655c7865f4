"""The images of a folder: listed once, or watched for new and changed ones."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fmnist_tui.config.dataset_catalog import IMAGE_SUFFIXES
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

# A file is reported when it has not changed for this long: it may still be being written.
QUIET_SECONDS = 1.0
# How often the folders are read; less often if that takes more than a small share of the time.
POLL_SECONDS = 0.25
_MAX_TIME_SHARE = 0.05

# Changes with the content of a file: inode, size, time of the last change.
Stamp = tuple[int, int, int]


def is_image_name(name: str) -> bool:
    """Whether this is the name of a visible file with an image suffix."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """The images directly in a folder, by name; UserError where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if is_image_name(path.name))
    except OSError as error:
        raise UserError(f"{safe_text(folder)}: cannot be read: {format_error(error)}") from error


class FolderWatch:
    """Finds images that appear or change in folders, each once it has stopped changing.

    `images` are those that each folder has at the start. The folders are read again and again: a
    network file system does not tell what another machine has written."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self.images = {folder: list_images(folder) for folder in self.folders}
        self._inodes = {folder: _inode(folder) for folder in self.folders}
        listed = {image for images in self.images.values() for image in images}
        self._reported = {path: stamp for path, stamp in self._scan() if path in listed}
        # Files that have changed since they were reported, and since when they have not.
        self._changing: dict[Path, tuple[Stamp, float]] = {}

    def changes(self, stopping: threading.Event) -> Iterator[list[Path]]:
        """Wait for images, until `stopping` is set; UserError when a folder is gone."""
        while not stopping.is_set():
            started = time.monotonic()
            images = self.poll(started)
            cost = time.monotonic() - started
            if images:
                yield images
            stopping.wait(max(POLL_SECONDS, cost / _MAX_TIME_SHARE))

    def poll(self, now: float) -> list[Path]:
        """The images that have been complete since `now - QUIET_SECONDS`, by path."""
        complete = []
        for path, stamp in self._scan():
            if self._reported.get(path) == stamp:
                self._changing.pop(path, None)
                continue
            before, since = self._changing.get(path, (None, now))
            if before != stamp:
                self._changing[path] = stamp, now
            elif now - since >= QUIET_SECONDS:
                del self._changing[path]
                self._reported[path] = stamp
                complete.append(path)
        return sorted(complete)

    def _scan(self) -> Iterator[tuple[Path, Stamp]]:
        for folder in self.folders:
            try:
                if _inode(folder) != self._inodes[folder]:
                    raise FileNotFoundError
                yield from _scan_folder(folder)
            except (FileNotFoundError, NotADirectoryError):
                raise UserError(f"the watched folder is gone: {safe_text(folder)}") from None
            except OSError as error:
                why = format_error(error)
                raise UserError(f"{safe_text(folder)} is no longer watched: {why}") from error


def _inode(folder: Path) -> int:
    return folder.stat().st_ino


def _scan_folder(folder: Path) -> Iterator[tuple[Path, Stamp]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            # A file may vanish at any time.
            with contextlib.suppress(FileNotFoundError):
                if is_image_name(entry.name) and entry.is_file():
                    status = entry.stat()
                    stamp = status.st_ino, status.st_size, status.st_mtime_ns
                    yield folder / entry.name, stamp

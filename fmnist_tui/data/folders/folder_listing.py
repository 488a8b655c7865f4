"""Listing of a folder of class folders; opens no image."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file in a class folder; `split` is empty if the folder is not divided into splits."""

    path: Path
    name: str
    size: int
    mtime_ns: int
    label: int
    split: str = ""


@dataclass(frozen=True, slots=True)
class FolderListing:
    """The classes, sorted by name, and all their files, sorted by name."""

    classes: tuple[str, ...]
    entries: tuple[ImageFile, ...]
    unreadable: tuple[str, ...]


def list_folder(root: Path) -> FolderListing:
    """List the files in the class folders of `root`, or of its train, val and test folders.

    Skips hidden files and follows links, but enters no folder twice.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "no such folder"
        raise UserError(f"{safe_text(root)}: {problem}; expected class folders of images")
    unreadable: list[str] = []
    names = {folder.name for folder in _subfolders(root)}
    parents = [root / split for split in SPLITS if split in names]
    if "train" not in names or names - set(SPLITS) or not _subfolders(root / "train"):
        parents = [root]
    class_folders = {parent: _subfolders(parent) for parent in parents}
    classes = sorted({folder.name for folder in class_folders[parents[0]]})
    entries: list[ImageFile] = []
    for parent in parents:
        unknown = [folder.name for folder in class_folders[parent] if folder.name not in classes]
        if unknown:
            raise UserError(
                f"{safe_text(parent)}: has the class {safe_text(unknown[0], 60)}, "
                f"which {safe_text(parents[0])} does not have"
            )
        visited = {_identity(folder) for folder in (root, *parents, *class_folders[parent])}
        for folder in class_folders[parent]:
            label = classes.index(folder.name)
            split = parent.name if parent != root else ""
            for path, status in _files(folder, visited - {_identity(folder)}, unreadable):
                name = path.relative_to(root).as_posix()
                entry = ImageFile(path, name, status.st_size, status.st_mtime_ns, label, split)
                entries.append(entry)
    entries.sort(key=lambda entry: entry.name)
    return FolderListing(tuple(classes), tuple(entries), tuple(unreadable))


def _subfolders(folder: Path) -> list[Path]:
    """The visible folders in `folder`, sorted, without links to it or to its parents."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{safe_text(folder)}: cannot be read: {format_error(error)}") from error
    parents = {_identity(parent) for parent in (folder, *folder.resolve().parents)}
    return [
        path
        for path in paths
        if not path.name.startswith(".") and path.is_dir() and _identity(path) not in parents
    ]


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _files(
    folder: Path, visited: set[tuple[int, int]], unreadable: list[str]
) -> Iterator[tuple[Path, os.stat_result]]:
    """The visible regular files below `folder`, entering no folder twice and none of `visited`."""
    visited = set(visited)

    def on_error(error: OSError) -> None:
        unreadable.append(safe_text(format_error(error), 200))

    def is_new(path: Path) -> bool:
        try:
            return not path.name.startswith(".") and _identity(path) not in visited
        except OSError:
            return False

    for parent, folders, files in os.walk(folder, onerror=on_error, followlinks=True):
        visited.add(_identity(Path(parent)))
        folders[:] = sorted(name for name in folders if is_new(Path(parent, name)))
        for path in (Path(parent, name) for name in files if not name.startswith(".")):
            try:
                status = path.stat()
            except OSError as error:
                on_error(error)
            else:
                if stat.S_ISREG(status.st_mode):
                    yield path, status

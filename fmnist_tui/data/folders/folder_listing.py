"""What lies in a folder of class folders, before a single picture is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file in a class folder. `split` is empty where the folder has no splits of its own."""

    path: Path
    name: str
    size: int
    mtime_ns: int
    label: int
    split: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The classes by name, and every file of theirs in the order of the names."""

    root: Path
    classes: tuple[str, ...]
    entries: tuple[ImageFile, ...]
    unreadable: tuple[str, ...]


def list_folder(root: Path) -> Listing:
    """Everything in the class folders of `root`, or of its train, val and test folders.

    Hidden files are left out, links are followed, a folder met twice is entered once.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "no such folder"
        raise UserError(f"{safe_text(root)}: {problem}; class folders of images are expected there")
    unreadable: list[str] = []
    tops = _folders(root)
    names = {top.name for top in tops}
    parts = [root / split for split in SPLITS if split in names]
    if "train" not in names or names - set(SPLITS) or not _folders(root / "train"):
        parts = [root]
    folders = {part: _folders(part) for part in parts}
    classes = sorted({folder.name for folder in folders[parts[0]]})
    entries: list[ImageFile] = []
    for part in parts:
        strangers = [folder.name for folder in folders[part] if folder.name not in classes]
        if strangers:
            raise UserError(
                f"{safe_text(part)}: has the class {safe_text(strangers[0], 60)}, "
                f"which {safe_text(parts[0])} has not"
            )
        avoid = {_identity(folder) for folder in (root, *parts, *folders[part])}
        for folder in folders[part]:
            label = classes.index(folder.name)
            split = part.name if part != root else ""
            for path, status in _files(folder, avoid - {_identity(folder)}, unreadable):
                name = path.relative_to(root).as_posix()
                entry = ImageFile(path, name, status.st_size, status.st_mtime_ns, label, split)
                entries.append(entry)
    entries.sort(key=lambda entry: entry.name)
    return Listing(root, tuple(classes), tuple(entries), tuple(unreadable))


def _folders(folder: Path) -> list[Path]:
    """The visible folders in `folder`, by name, without those that lead back up."""
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{safe_text(folder)}: cannot be read: {reason(error)}") from error
    above = {_identity(parent) for parent in (folder, *folder.resolve().parents)}
    return [
        path
        for path in inside
        if not path.name.startswith(".") and path.is_dir() and _identity(path) not in above
    ]


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _files(
    folder: Path, avoid: set[tuple[int, int]], unreadable: list[str]
) -> Iterator[tuple[Path, os.stat_result]]:
    """The visible regular files below `folder`, entering no folder twice and none of `avoid`."""
    entered = set(avoid)

    def complain(error: OSError) -> None:
        unreadable.append(safe_text(reason(error), 200))

    for here, folders, files in os.walk(folder, onerror=complain, followlinks=True):
        entered.add(_identity(Path(here)))
        for name in tuple(folders):
            try:
                known = name.startswith(".") or _identity(Path(here, name)) in entered
            except OSError:
                known = True
            if known:
                folders.remove(name)
        folders.sort()
        for name in files:
            path = Path(here, name)
            if name.startswith("."):
                continue
            try:
                status = path.stat()
            except OSError as error:
                complain(error)
                continue
            if stat.S_ISREG(status.st_mode):
                yield path, status

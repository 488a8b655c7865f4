"""Listing of a folder of class folders; opens no image."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.data.images.image_folder import list_images
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validate", "validation", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {name: split for split, names in _SPLIT_NAMES.items() for name in names}
"""The split that a folder's name in lower case stands for."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file in a class folder; `split` is empty if the folder is not divided into splits.

    `name` is its path in the dataset's folder, `name_in_class` in the class folder."""

    path: Path
    name: str
    name_in_class: str
    size: int
    mtime_ns: int
    label: int
    split: str = ""


@dataclass(frozen=True, slots=True)
class FolderListing:
    """The classes, sorted by name, and all their files, sorted by name.

    `without_classes` names the folders of splits that have no class folders, `beside` counts the
    images beside class folders or folders of splits."""

    classes: tuple[str, ...]
    entries: tuple[ImageFile, ...]
    unreadable: tuple[str, ...]
    without_classes: tuple[str, ...] = ()
    beside: int = 0


def list_folder(root: Path) -> FolderListing:
    """List the files in the class folders of `root`, or of its folders of splits.

    Skips hidden files and follows links, but enters no folder twice.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "no such folder"
        raise UserError(f"{safe_text(root)}: {problem}; expected class folders of images")
    unreadable: list[str] = []
    split_folders = _find_split_folders(root, _subfolders(root))
    parents = list(split_folders.values()) or [root]
    split_of = {folder: split for split, folder in split_folders.items()}
    class_folders = {parent: _subfolders(parent) for parent in parents}
    if split_folders and not class_folders[parents[0]]:
        raise UserError(
            f"{safe_text(root)}: has folders of splits ({_list_names(parents)}), but no classes in"
            f" {safe_text(parents[0].name, 60)}; expected SPLIT/CLASS/IMAGE; if they are classes,"
            " rename them"
        )
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
            split = split_of.get(parent, "")
            for path, status in _files(folder, visited - {_identity(folder)}, unreadable):
                name = path.relative_to(root).as_posix()
                name_in_class = path.relative_to(folder).as_posix()
                facts = status.st_size, status.st_mtime_ns, label, split
                entries.append(ImageFile(path, name, name_in_class, *facts))
    entries.sort(key=lambda entry: entry.name)
    without_classes = tuple(folder.name for folder in parents[1:] if not class_folders[folder])
    holders = {root, *(parent for parent in parents if class_folders[parent])}
    beside = sum(len(_images(holder)) for holder in holders)
    return FolderListing(tuple(classes), tuple(entries), tuple(unreadable), without_classes, beside)


def _find_split_folders(root: Path, folders: Sequence[Path]) -> dict[str, Path]:
    """The folders of train, val and test, train first; empty if these are class folders.

    A UserError if that cannot be told, or if there is no train."""
    splits: dict[str, Path] = {}
    for folder in folders:
        split = _SPLIT_OF.get(folder.name.casefold())
        if split in splits:
            raise UserError(
                f"{safe_text(root)}: two folders of the {split} split"
                f" ({_list_names([splits[split], folder])}); move the images of one into the other"
            )
        if split is not None:
            splits[split] = folder
    others = [folder for folder in folders if folder not in splits.values()] if splits else []
    others = [folder for folder in others if next(_files(folder, set(), []), None)]
    if others:
        raise UserError(
            f"{safe_text(root)}: mixes folders of splits ({_list_names(splits.values())}) and of"
            f" classes ({_list_names(others)}); rename or move those of one kind"
        )
    if splits and "train" not in splits:
        raise UserError(
            f"{safe_text(root)}: has folders of splits ({_list_names(splits.values())}), but none"
            " is train; expected train/CLASS/IMAGE; if they are classes, rename them"
        )
    return {split: splits[split] for split in SPLITS if split in splits}


def _list_names(folders: Iterable[Path]) -> str:
    """The names of the first folders."""
    names = [safe_text(folder.name, 40) for folder in folders]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


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


def _images(folder: Path) -> list[Path]:
    """The files directly in `folder` that are images by their names."""
    return [path for path in list_images(folder) if path.is_file()]


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

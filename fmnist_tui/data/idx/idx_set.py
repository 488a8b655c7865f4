"""Datasets of four idx files: what the files must contain, and reading and checking them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import DATASETS, IMAGE_SIDE, DatasetInfo
from fmnist_tui.data.dataset import Labels
from fmnist_tui.data.idx.checksums import ChecksumFile
from fmnist_tui.data.idx.idx_format import read_idx
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class IdxFile:
    """One of the four files: its published name (gzipped) and what it must contain.

    `md5` is of the published file, `sha256` of the bare idx bytes; either may be unknown.
    Labels are a list, or a table of `columns` whose first column is the class.
    """

    name: str
    count: int
    md5: str = ""
    sha256: str = ""
    columns: int = 0

    @property
    def is_labels(self) -> bool:
        return "labels" in self.name

    @property
    def shape(self) -> tuple[int, ...]:
        if not self.is_labels:
            return (self.count, IMAGE_SIDE, IMAGE_SIDE)
        return (self.count, self.columns) if self.columns else (self.count,)

    def find_in(self, folder: Path) -> Path | None:
        """The path of the file in `folder`, gzipped or not."""
        for name in (self.name, self.name.removesuffix(".gz")):
            if (folder / name).is_file():
                return folder / name
        return None


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """A Debian package with the files, in `folder` below the root."""

    name: str
    folder: str


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A zip file with the files, all in its `folder`."""

    url: str
    md5: str
    folder: str
    limit: int


@dataclass(frozen=True, slots=True)
class IdxSet:
    """The files of a dataset (images, labels, test images, test labels) and their sources.

    `mirrors` are addresses that a file's name is appended to.
    """

    name: str
    files: tuple[IdxFile, ...]
    mirrors: tuple[str, ...] = ()
    package: SystemPackage | None = None
    archive: ArchiveSource | None = None
    first_label: int = 0
    transposed: bool = False

    @property
    def info(self) -> DatasetInfo:
        return DATASETS[self.name]


def read_idx_file(
    idx_set: IdxSet,
    file: IdxFile,
    path: Path,
    checksums: ChecksumFile | None = None,
    verified: bool = False,
) -> npt.NDArray[Any]:
    """The array in the file at `path`, fully checked; UserError says what is wrong.

    Images are (count, 28, 28, 1) and upright, labels int64 from 0. `verified` says that the
    file comes from a source that vouches for it.
    """
    idx = read_idx(path, file.shape, "i4" if file.columns else "u1")
    if file.sha256:
        if idx.sha256 != file.sha256:
            raise UserError(
                f"{safe_text(path)}: not the published file: its SHA-256 is {idx.sha256} "
                f"instead of {file.sha256}; for your own files use idx:PATH"
            )
    elif checksums is not None:
        checksums.check(path, idx.sha256, file.md5, verified)
    if not file.is_labels:
        images = idx.array.swapaxes(1, 2) if idx_set.transposed else idx.array
        return np.ascontiguousarray(images)[..., None]
    column = idx.array[:, 0] if file.columns else idx.array
    labels = column.astype(np.int64) - idx_set.first_label
    check_labels(labels, len(idx_set.info.classes), path, idx_set.first_label)
    return labels


def check_labels(labels: Labels, classes: int, path: Path, first: int = 0) -> None:
    """Raise UserError if a label is out of range."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise UserError(
            f"{safe_text(path)}: labels from {labels.min() + first} to {labels.max() + first} "
            f"where {first} to {first + classes - 1} are expected"
        )

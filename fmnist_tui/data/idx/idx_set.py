"""Data sets that are four idx files: what the files must be, and reading them from a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import DATASETS, IMAGE_SIDE
from fmnist_tui.data.dataset import Images, Labels
from fmnist_tui.data.idx.checksums import ChecksumFile
from fmnist_tui.data.idx.idx_format import read_idx
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class IdxFile:
    """One of the four files: its name as published (gzipped), and what it must hold.

    `md5` is of the published file, `sha256` of the bare idx bytes; either may be unknown.
    Labels come as a list, or as a table of `columns` whose first column is the class.
    """

    file: str
    count: int
    md5: str = ""
    sha256: str = ""
    columns: int = 0
    labels: bool = False

    def shape(self) -> tuple[int, ...]:
        if not self.labels:
            return (self.count, IMAGE_SIDE, IMAGE_SIDE)
        return (self.count, self.columns) if self.columns else (self.count,)

    def within(self, folder: Path) -> Path | None:
        """Where the file lies in `folder`, gzipped or not."""
        for name in (self.file, self.file.removesuffix(".gz")):
            if (folder / name).is_file():
                return folder / name
        return None


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """A Debian package that holds the files, in `folder` below the root."""

    name: str
    folder: str


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A zip file that holds the parts, all in `folder`."""

    url: str
    md5: str
    folder: str
    limit: int


@dataclass(frozen=True, slots=True)
class IdxSet:
    """The files of a data set and where they are published.

    `mirrors` are addresses that a part's name is appended to. Labels start at
    `first_label`. `transposed` says that rows and columns are exchanged in the files.
    """

    name: str
    train_images: IdxFile
    train_labels: IdxFile
    test_images: IdxFile
    test_labels: IdxFile
    mirrors: tuple[str, ...] = ()
    package: SystemPackage | None = None
    archive: ArchiveSource | None = None
    first_label: int = 0
    transposed: bool = False

    @property
    def title(self) -> str:
        return DATASETS[self.name].title

    @property
    def classes(self) -> int:
        return len(DATASETS[self.name].classes)

    @property
    def parts(self) -> tuple[IdxFile, ...]:
        return (self.train_images, self.train_labels, self.test_images, self.test_labels)


@dataclass(frozen=True, slots=True, eq=False)
class IdxArrays:
    """A whole data set as it was published: images (count, 28, 28, 1), upright; labels from 0."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    source: str
    notes: tuple[str, ...] = ()


def read_part(
    idx_set: IdxSet,
    part: IdxFile,
    path: Path,
    sums: ChecksumFile | None = None,
    published: bool = False,
) -> npt.NDArray[Any]:
    """The part's numbers, checked in every way there is; UserError says what is wrong.

    Images are (count, 28, 28, 1) and upright, labels int64 from 0. `published` says that
    the file has just come from its publisher, checked on the way.
    """
    idx = read_idx(path, part.shape(), "i4" if part.columns else "u1")
    if part.sha256:
        if idx.sha256 != part.sha256:
            raise UserError(
                f"{safe_text(path)}: not the published file: its SHA-256 is {idx.sha256} "
                f"instead of {part.sha256}; for files of your own there is idx:PATH"
            )
    elif sums is not None:
        sums.check(path, idx.sha256, part.md5, published)
    if not part.labels:
        pictures = idx.array
        if idx_set.transposed:
            pictures = np.ascontiguousarray(pictures.swapaxes(1, 2))
        return pictures[..., None]
    column = idx.array[:, 0] if part.columns else idx.array
    labels = column.astype(np.int64) - idx_set.first_label
    check_labels(labels, idx_set.classes, path, idx_set.first_label)
    return labels


def check_labels(labels: Labels, classes: int, path: Path, first: int = 0) -> None:
    """Raises UserError unless every label is of one of the classes."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise UserError(
            f"{safe_text(path)}: labels from {labels.min() + first} to {labels.max() + first} "
            f"where {first} to {first + classes - 1} are expected"
        )

"""idx:PATH, a folder of four idx files under MNIST's names."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np

from fmnist_tui.config.dataset_catalog import IMAGE_SIDE, DatasetInfo
from fmnist_tui.data.dataset import Labels
from fmnist_tui.data.file_stamps import stamp_file
from fmnist_tui.data.fingerprint import identify
from fmnist_tui.data.idx.idx_format import read_idx
from fmnist_tui.data.idx.idx_set import check_labels
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

_NAMES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


def load(request: LoadRequest) -> UnsplitDataset:
    """The dataset in the folder; the training labels, 0 and up without a gap, are the classes."""
    folder = request.path
    train, test = read_folder(folder)
    classes = _count_classes(train.labels, _file(folder, _NAMES[0][1]))
    if classes < 2:
        raise UserError(
            f"{safe_text(folder)}: only one class in its labels; two or more are needed"
        )
    check_labels(test.labels, classes, _file(folder, _NAMES[1][1]))
    title, source = safe_text(folder.name, 40), f"idx files in {safe_text(folder)}"
    names = tuple(map(str, range(classes)))
    info = DatasetInfo(request.name, title, names, len(train), len(test), about=source)
    return UnsplitDataset(info, train, test, source)


def stamp(request: LoadRequest) -> Hashable:
    return stamp_folder(request.path)


def stamp_folder(folder: Path) -> Hashable:
    return tuple(stamp_file(_file(folder, name)) for names in _NAMES for name in names)


def _count_classes(labels: Labels, file: Path) -> int:
    """The number of classes; a UserError if a label is missing below a larger one."""
    present = np.unique(labels)
    classes = len(present)
    if present[-1] >= classes:
        missing = int(np.flatnonzero(present != np.arange(classes))[0])
        count = int((labels > missing).sum())
        raise UserError(
            f"{safe_text(file)}: no label is {missing}, but {count:,} of {len(labels):,} are"
            f" larger, up to {present[-1]}: number the classes from 0 without a gap"
        )
    return classes


def read_folder(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Training and test images of a folder of idx files; UserError says what is wrong."""
    if not folder.is_dir():
        raise UserError(f"{safe_text(folder)}: no such folder; expected four idx files there")
    train, test = (_read_pair(folder, *names) for names in _NAMES)
    return train, test


def _read_pair(folder: Path, images_name: str, labels_name: str) -> LabelledImages:
    images_file, labels_file = _file(folder, images_name), _file(folder, labels_name)
    images = read_idx(images_file, (None, IMAGE_SIDE, IMAGE_SIDE), "u1").array[..., None]
    labels = read_idx(labels_file, (None,), "u1").array.astype("int64")
    if len(images) != len(labels):
        raise UserError(
            f"{safe_text(labels_file)}: {len(labels):,} labels for the {len(images):,} images "
            f"of {images_file.name}"
        )
    if not len(images):
        raise UserError(f"{safe_text(images_file)}: contains no images")
    return LabelledImages.from_arrays(images, labels, identify(images))


def _file(folder: Path, name: str) -> Path:
    """The path of the file, gzipped if that exists."""
    gzipped = folder / f"{name}.gz"
    return gzipped if gzipped.exists() else folder / name

"""Published datasets of four idx files, and the combination of garments and digits."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.data.file_stamps import stamp_file
from fmnist_tui.data.fingerprint import identify
from fmnist_tui.data.idx.idx_folder import read_folder, stamp_folder
from fmnist_tui.data.idx.mnist_family import EMNIST, FASHION, KMNIST, MNIST, QMNIST
from fmnist_tui.data.sources.source_chain import find_files, load_idx_set
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

SETS = {idx_set.name: idx_set for idx_set in (FASHION, MNIST, KMNIST, QMNIST, EMNIST)}


def load(request: LoadRequest) -> UnsplitDataset:
    return _load_set(request.name, request)


def stamp(request: LoadRequest) -> Hashable:
    return _stamp_set(request.name, request.data_dir)


def stamp_both(request: LoadRequest) -> Hashable:
    own_digits = ":" in request.name
    digits = stamp_folder(request.path) if own_digits else _stamp_set("mnist", request.data_dir)
    return _stamp_set("fashion", request.data_dir), digits


def _stamp_set(name: str, data_dir: Path) -> Hashable:
    return tuple(map(stamp_file, find_files(SETS[name], data_dir)))


def load_both(request: LoadRequest) -> UnsplitDataset:
    """Fashion-MNIST's classes, then the digits: MNIST's, or those of both:PATH."""
    # A wrong path is reported before anything is downloaded.
    digits = _read_digits(request) if ":" in request.name else None
    garments = _load_set("fashion", request)
    if digits is None:
        digits = _load_set("mnist", request)
    first = len(garments.info.classes)
    return UnsplitDataset(
        DATASETS["both"],
        _join(garments.train, digits.train, first),
        _join(garments.test, digits.test, first),
        f"garments: {garments.source}; digits: {digits.source}",
        notes=garments.notes + digits.notes,
    )


def _load_set(name: str, request: LoadRequest) -> UnsplitDataset:
    return load_idx_set(
        SETS[name],
        request.data_dir,
        on_step=request.on_step,
        cancel=request.cancel,
        fetch=request.fetch,
    )


def _read_digits(request: LoadRequest) -> UnsplitDataset:
    train, test = read_folder(request.path)
    info = DATASETS["mnist"]
    largest = max(train.labels.max(), test.labels.max())
    if largest >= len(info.classes):
        raise UserError(
            f"{safe_text(request.path)}: labels up to {largest} where digits are expected"
        )
    return UnsplitDataset(info, train, test, f"idx files in {safe_text(request.path)}")


def _join(first: LabelledImages, second: LabelledImages, label_offset: int) -> LabelledImages:
    images = np.concatenate([first.images, second.images])
    labels = np.concatenate([first.labels, second.labels + label_offset])
    ids = None if second.ids is None else identify(images)
    return LabelledImages.from_arrays(images, labels, ids)

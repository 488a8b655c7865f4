"""The published data sets of four idx files, and garments and digits put together."""

from __future__ import annotations

import numpy as np

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.data.idx.fashion import FASHION
from fmnist_tui.data.idx.idx_folder import read_folder
from fmnist_tui.data.idx.idx_set import IdxSet
from fmnist_tui.data.idx.mnist_family import EMNIST, KMNIST, MNIST, QMNIST
from fmnist_tui.data.sources.source_chain import load_idx_arrays
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

SETS = {idx_set.name: idx_set for idx_set in (FASHION, MNIST, KMNIST, QMNIST, EMNIST)}


def load(request: LoadRequest) -> UnsplitDataset:
    return _whole(SETS[request.name], request)


def _whole(idx_set: IdxSet, request: LoadRequest) -> UnsplitDataset:
    arrays = load_idx_arrays(
        idx_set,
        request.data_dir,
        on_step=request.on_step,
        cancel=request.cancel,
        fetch=request.fetch,
    )
    train = LabelledImages.from_arrays(arrays.train_images, arrays.train_labels)
    test = LabelledImages.from_arrays(arrays.test_images, arrays.test_labels)
    return UnsplitDataset(DATASETS[idx_set.name], train, test, arrays.source, notes=arrays.notes)


def load_both(request: LoadRequest) -> UnsplitDataset:
    """Fashion-MNIST's classes, then the digits: MNIST's, or those of both:PATH."""
    # The digits of a path are read first: a slip in it should not cost a download.
    digits = _digits(request) if ":" in request.name else None
    garments = _whole(SETS["fashion"], request)
    if digits is None:
        digits = _whole(SETS["mnist"], request)
    info = DATASETS["both"]
    first = len(garments.info.classes)
    return UnsplitDataset(
        info,
        _joined(garments.train, digits.train, first),
        _joined(garments.test, digits.test, first),
        f"garments: {garments.source}; digits: {digits.source}",
        notes=garments.notes + digits.notes,
    )


def _digits(request: LoadRequest) -> UnsplitDataset:
    train, test = read_folder(request.path)
    info = DATASETS["mnist"]
    for pool in (train, test):
        if pool.labels.max() >= len(info.classes):
            raise UserError(
                f"{safe_text(request.path)}: labels up to {pool.labels.max()} where digits are "
                "expected"
            )
    return UnsplitDataset(info, train, test, f"idx files in {safe_text(request.path)}")


def _joined(one: LabelledImages, other: LabelledImages, first_label: int) -> LabelledImages:
    """Both pools' pictures, numbered on, the second one's labels after the first one's."""
    return LabelledImages.from_arrays(
        np.concatenate([one.images, other.images]),
        np.concatenate([one.labels, other.labels + first_label]),
    )

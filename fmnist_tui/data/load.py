"""Loading of any dataset by its name, split into train, val and test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fmnist_tui.config import dataset_catalog
from fmnist_tui.data import splits
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.data.fingerprint import Fingerprint
from fmnist_tui.data.folders import folder_dataset
from fmnist_tui.data.idx import idx_folder, published_datasets
from fmnist_tui.data.load_progress import OnStep
from fmnist_tui.data.loaded import LoadedDatasets
from fmnist_tui.data.sketches import sketch_dataset
from fmnist_tui.data.sources.source_chain import has_all_files
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset
from fmnist_tui.util.errors import UserError, did_you_mean
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.config.run_config import RunConfig

Loader = Callable[[LoadRequest], UnsplitDataset]

# What changes when the files of a dataset do
_STAMPS: dict[Loader, Callable[[LoadRequest], Hashable]] = {
    published_datasets.load: published_datasets.stamp,
    published_datasets.load_both: published_datasets.stamp_both,
    folder_dataset.load: folder_dataset.stamp,
    idx_folder.load: idx_folder.stamp,
    sketch_dataset.load: lambda _: "",
}
_LOADED = LoadedDatasets()

_LOADERS: dict[str, Loader] = {
    **dict.fromkeys(published_datasets.SETS, published_datasets.load),
    "both": published_datasets.load_both,
    "sketches": sketch_dataset.load,
}
_FROM_PATH: dict[str, Loader] = {
    "folder": folder_dataset.load,
    "idx": idx_folder.load,
    "both": published_datasets.load_both,
}


def load_dataset_for(
    config: RunConfig,
    data_dir: Path,
    *,
    on_step: OnStep | None = None,
    cancel: threading.Event | None = None,
    fetch: bool = True,
) -> Dataset:
    """`load_dataset` by the settings of a run."""
    return load_dataset(
        config.dataset,
        data_dir=data_dir,
        val_fraction=config.val_fraction,
        split_seed=config.split_seed,
        classes=config.classes,
        limit=config.limit,
        input_size=config.input_size,
        colour=config.colour,
        on_step=on_step,
        cancel=cancel,
        fetch=fetch,
    )


def load_dataset(
    dataset: str,
    *,
    data_dir: Path,
    val_fraction: float = dataset_catalog.DEFAULT_VALIDATION,
    split_seed: int = 0,
    classes: tuple[int, ...] | None = None,
    limit: int | None = None,
    input_size: int = dataset_catalog.IMAGE_SIDE,
    colour: bool = False,
    sketch_seed: int = 0,
    on_step: OnStep | None = None,
    cancel: threading.Event | None = None,
    fetch: bool = True,
) -> Dataset:
    """Load `dataset`; download it if needed, and if `fetch` allows it. If it has been loaded
    before, and its files have not changed since, it is the same object again.

    Validation is split off the training images by `split_seed` alone: `classes` and `limit`
    select among the images afterwards. `classes` are renumbered in the given order; `limit`
    is the number of training images. Raises UserError, one line, if it cannot be loaded.
    """
    request = LoadRequest(
        dataset, data_dir, input_size, colour, sketch_seed, split_seed, on_step, cancel, fetch
    )
    loader = _loader(dataset)

    def load() -> Dataset:
        return _load(loader, request, val_fraction, classes, limit)

    try:
        stamp = _STAMPS[loader](request)
    except (OSError, UserError):
        return load()  # which says what is missing, or fetches it
    key = (dataset, data_dir, val_fraction, split_seed, classes, limit, input_size, colour)
    return _LOADED.get((*key, sketch_seed), stamp, load)


def _load(
    loader: Loader,
    request: LoadRequest,
    val_fraction: float,
    classes: tuple[int, ...] | None,
    limit: int | None,
) -> Dataset:
    dataset, input_size, split_seed = request.name, request.input_size, request.split_seed
    is_as_published = input_size == dataset_catalog.IMAGE_SIDE and not request.colour
    if loader is not folder_dataset.load and not is_as_published:
        raise UserError(
            f"{safe_text(dataset)} is 28×28 and grey: "
            "only folder: datasets have other sizes or colour"
        )
    unsplit = loader(request)
    train, val = unsplit.train, unsplit.val
    if val is None:
        train, val = train.split_off(val_fraction, split_seed, splits.VALIDATION)
    test, info = unsplit.test, unsplit.info
    if classes is not None:
        _check_classes(classes, info)
        train, val, test = (_select_classes(part, classes) for part in (train, val, test))
        info = info.subset(classes)
    parts = {"train": train, "val": val, "test": test}
    cut = {"val": unsplit.val is None and train.names is not None, "test": unsplit.cut_by_name}
    fingerprint = Fingerprint(
        {name: part.fingerprint for name, part in parts.items()},
        tuple(name for name, is_cut in cut.items() if is_cut),
    )
    if limit is not None:
        sample = splits.stratified_sample(train.labels, limit, split_seed, train.names)
        train = train.select(sample)
    for split, part in (("training", train), ("test", test)):
        if not len(part):
            raise UserError(f"{safe_text(dataset)}: no images are left for the {split} split")

    def make_split(split: str, part: LabelledImages) -> Split:
        images = unsplit.select(part.images, part.positions)
        return Split(split, images, part.labels, part.indices, part.ids)

    return Dataset(
        info,
        make_split("train", train),
        make_split("val", val),
        make_split("test", test),
        unsplit.source,
        unsplit.notes,
        fingerprint,
    )


def is_present(name: str, data_dir: Path) -> bool:
    """Whether the dataset can be loaded without a network; reads no image."""
    kind, colon, path = name.partition(":")
    if colon:
        exists = bool(path) and kind in _FROM_PATH and expand_home(path).is_dir()
        return exists and (kind != "both" or is_present("fashion", data_dir))
    if name == "both":
        return is_present("fashion", data_dir) and is_present("mnist", data_dir)
    idx_set = published_datasets.SETS.get(name)
    return name in _LOADERS if idx_set is None else has_all_files(idx_set, data_dir)


def _loader(name: str) -> Loader:
    kind, colon, path = name.partition(":")
    loader = (_FROM_PATH.get(kind) if path else None) if colon else _LOADERS.get(name)
    if loader is None:
        names = dataset_catalog.known_datasets()
        raise UserError(
            f"unknown dataset {safe_text(name)!r}{did_you_mean(name, names)} "
            f"(choose from {', '.join(names)})"
        )
    return loader


def _check_classes(classes: tuple[int, ...], info: dataset_catalog.DatasetInfo) -> None:
    count = len(info.classes)
    distinct = len(set(classes)) == len(classes) >= 2
    if not distinct or min(classes) < 0 or max(classes) >= count:
        raise UserError(
            f"classes = {list(classes)}: {safe_text(info.name)} has {count} classes, 0 to "
            f"{count - 1}; choose two or more of them, each once"
        )


def _select_classes(part: LabelledImages, classes: tuple[int, ...]) -> LabelledImages:
    """The images of these classes, with labels in the order of `classes`."""
    new_labels = np.full(max(int(part.labels.max(initial=0)), *classes) + 1, -1)
    new_labels[list(classes)] = np.arange(len(classes))
    labels = new_labels[part.labels]
    rows = np.flatnonzero(labels >= 0)
    return replace(part.select(rows), labels=labels[rows])

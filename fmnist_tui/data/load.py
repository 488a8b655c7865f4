"""One way to any data set: by its name, cut into train, val and test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from fmnist_tui.config import dataset_catalog
from fmnist_tui.data import splits
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.data.folders import folder_dataset
from fmnist_tui.data.idx import idx_folder
from fmnist_tui.data.load_progress import Say
from fmnist_tui.data.sketches import sketch_dataset
from fmnist_tui.data.sources import published
from fmnist_tui.data.sources.source_chain import is_present as files_are_there
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset
from fmnist_tui.util.errors import UserError, near
from fmnist_tui.util.paths import expanded
from fmnist_tui.util.text import safe_text

_LOADERS: dict[str, Callable[[LoadRequest], UnsplitDataset]] = {
    **dict.fromkeys(published.SETS, published.load),
    "both": published.load_both,
    "sketches": sketch_dataset.load,
}
_FROM_PATH: dict[str, Callable[[LoadRequest], UnsplitDataset]] = {
    "folder": folder_dataset.load,
    "idx": idx_folder.load,
    "both": published.load_both,
}


class DatasetSettings(Protocol):
    """What of which data set: a run's settings, or as much of them as says that."""

    @property
    def dataset(self) -> str: ...
    @property
    def val_fraction(self) -> float: ...
    @property
    def split_seed(self) -> int: ...
    @property
    def classes(self) -> tuple[int, ...] | None: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def input_size(self) -> int: ...
    @property
    def colour(self) -> bool: ...


def load_wanted(
    wanted: DatasetSettings,
    data_dir: Path,
    *,
    say: Say | None = None,
    cancel: threading.Event | None = None,
    fetch: bool = True,
) -> Dataset:
    """The data set as these settings want it; otherwise as `load_dataset`."""
    return load_dataset(
        wanted.dataset,
        data_dir=data_dir,
        val_fraction=wanted.val_fraction,
        split_seed=wanted.split_seed,
        classes=wanted.classes,
        limit=wanted.limit,
        input_size=wanted.input_size,
        colour=wanted.colour,
        say=say,
        cancel=cancel,
        fetch=fetch,
    )


def load_dataset(
    name: str,
    *,
    data_dir: Path,
    val_fraction: float = dataset_catalog.DEFAULT_VALIDATION,
    split_seed: int = 0,
    classes: tuple[int, ...] | None = None,
    limit: int | None = None,
    input_size: int = 28,
    colour: bool = False,
    sketch_seed: int = 0,
    say: Say | None = None,
    cancel: threading.Event | None = None,
    fetch: bool = True,
) -> Dataset:
    """The data set `name`, got if need be, with validation cut from its training pictures.

    The cut depends on `split_seed` alone, whatever `classes` and `limit` say: those choose
    among the pictures afterwards. `classes` are numbered anew in the order given; `limit`
    is the number of training pictures. Raises UserError, one line, if it cannot be had.
    """
    request = LoadRequest(
        name, data_dir, input_size, colour, sketch_seed, split_seed, say, cancel, fetch
    )
    loader = _loader(name)
    if loader is not folder_dataset.load and (input_size != 28 or colour):
        raise UserError(
            f"{safe_text(name)} is 28×28 and grey: only folder: sets take another size or colour"
        )
    whole = loader(request)
    train, val = whole.train, whole.val
    if val is None:
        stay, off = splits.cut(train.labels, val_fraction, split_seed, splits.VALIDATION)
        train, val = train.only(stay), train.only(off)
    test, facts = whole.test, whole.facts
    if classes is not None:
        _check_classes(classes, facts)
        train, val, test = (_of_classes(pool, classes) for pool in (train, val, test))
        facts = facts.subset(classes)
    if limit is not None:
        train = train.only(splits.part(train.labels, limit, split_seed))
    for split, pool in (("training", train), ("test", test)):
        if not len(pool):
            raise UserError(f"{safe_text(name)}: no pictures are left for the {split} split")

    def split_of(split: str, pool: LabelledImages) -> Split:
        return Split(split, whole.take(pool.images, pool.places), pool.labels, pool.indices)

    return Dataset(
        facts,
        split_of("train", train),
        split_of("val", val),
        split_of("test", test),
        whole.source,
        whole.notes,
    )


def is_present(name: str, data_dir: Path) -> bool:
    """Whether the data set can be loaded without a network; no picture is read."""
    kind, colon, path = name.partition(":")
    if colon:
        there = bool(path) and expanded(path).is_dir()
        known = kind in _FROM_PATH
        return there and known and (kind != "both" or is_present("fashion", data_dir))
    if name == "both":
        return is_present("fashion", data_dir) and is_present("mnist", data_dir)
    idx_set = published.SETS.get(name)
    return name in _LOADERS if idx_set is None else files_are_there(idx_set, data_dir)


def _loader(name: str) -> Callable[[LoadRequest], UnsplitDataset]:
    kind, colon, path = name.partition(":")
    loader = (_FROM_PATH.get(kind) if path else None) if colon else _LOADERS.get(name)
    if loader is None:
        known = (*_LOADERS, *(f"{kind}:PATH" for kind in _FROM_PATH))
        raise UserError(
            f"data set {safe_text(name)!r} is not known{near(name, known)} "
            f"(there are {', '.join(known)})"
        )
    return loader


def _check_classes(classes: tuple[int, ...], facts: dataset_catalog.DatasetFacts) -> None:
    count = len(facts.classes)
    sound = len(set(classes)) == len(classes) >= 2
    if not sound or min(classes) < 0 or max(classes) >= count:
        raise UserError(
            f"classes = {list(classes)}: {safe_text(facts.name)} has {count} classes, 0 to "
            f"{count - 1}; two or more of them can be chosen, each once"
        )


def _of_classes(pool: LabelledImages, classes: tuple[int, ...]) -> LabelledImages:
    """The pool's pictures of these classes, numbered in the order of `classes`."""
    number = np.full(max(int(pool.labels.max(initial=0)), *classes) + 1, -1)
    number[list(classes)] = np.arange(len(classes))
    labels = number[pool.labels]
    chosen = pool.only(np.flatnonzero(labels >= 0))
    return LabelledImages(chosen.images, number[chosen.labels], chosen.places, chosen.indices)

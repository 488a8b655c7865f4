"""Checks that no run is evaluated on images that its weights were trained on.

A dataset in files on this machine can change between a run and its use. A checkpoint states which
images it was trained with; what uses it with data compares, and refuses or says what differs.
"""

from __future__ import annotations

from collections.abc import Collection

from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.fingerprint import Fingerprint
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

HELD_OUT = ("val", "test")
# The settings that decide which images are used for validation (and, in image folders without a
# test split, for the test).
_SPLIT_SETTINGS = ("val_fraction", "split_seed")


def dataset_key(config: RunConfig) -> str:
    """Identify a config's dataset; a path gives the same key however it is written."""
    kind, colon, path = config.dataset.partition(":")
    return f"{kind}:{expand_home(path).resolve()}" if colon else kind


def split_difference(first: RunConfig, second: RunConfig) -> str:
    """The setting, with both values, by which two configs split the same dataset differently;
    empty if they do not."""
    if dataset_key(first) == dataset_key(second):
        for key in _SPLIT_SETTINGS:
            values = getattr(first, key), getattr(second, key)
            if values[0] != values[1]:
                return f"{key} {values[0]:g} / {values[1]:g}"
    return ""


def check_no_leak(source: str, before: ModelInfo, now: ModelInfo) -> tuple[str, ...]:
    """Refuse weights that were trained on images which a run described by `now` holds out.

    Returns notes about data that has changed since."""
    old, new = before.config, now.config
    if old.classes and new.classes and not set(old.classes) & set(new.classes):
        return ()
    difference = split_difference(old, new)
    # A run without validation images may train on what used to be validation images.
    if difference and not (new.val_fraction == 0 and old.split_seed == new.split_seed):
        raise CheckpointError(
            f"{source}: {difference}: it was trained on images that are held out here; keep its"
            " value"
        )
    if dataset_key(old) == dataset_key(new):
        notes = check_images(source, before, now.dataset, now.data)
        return notes if not difference and old.classes == new.classes else ()
    return tuple(
        f"{seen}: the two datasets share images" for seen in _find_seen(before, now.data, HELD_OUT)
    )


def check_classes(source: str, before: ModelInfo, now: DatasetInfo) -> None:
    """Refuse a dataset that no longer has the classes that a checkpoint was trained with."""
    old, new = before.dataset.classes, now.classes
    if old != new:
        changes = (("without", set(old) - set(new)), ("with", set(new) - set(old)))
        parts = [f"{word} {_list_names(names)}" for word, names in changes if names]
        raise CheckpointError(
            f"{source}: {_name(now)} no longer has the classes that it was trained on"
            f" ({', '.join(parts) or 'they are in another order'}); restore them or train again"
        )


def check_images(
    source: str,
    before: ModelInfo,
    now: DatasetInfo,
    data: Fingerprint | None,
    judged: Collection[str] = HELD_OUT,
) -> tuple[str, ...]:
    """Refuse a dataset whose `judged` splits have images that a checkpoint was trained on; returns
    notes about other changes."""
    if data is None:
        return ()
    recut = [split for split in judged if split in data.cut_by_name]
    if recut and any(trained.data is None for trained in _networks(before)):
        raise CheckpointError(
            f"{source}: made by an older version, which chose the {' and '.join(recut)} images"
            f" of {_name(now)} in another way: it was trained on some of them; train it again"
        )
    for seen in _find_seen(before, data, judged):
        raise CheckpointError(
            f"{source}: {seen}: {_name(now)} has changed; restore its files or train again"
        )
    differences = {
        trained.data.difference(data) for trained in _networks(before) if trained.data is not None
    }
    return tuple(
        f"{_name(now)} has changed since {source} was trained: {difference}"
        for difference in sorted(differences - {""})
    )


def has_same_batches(before: ModelInfo, now: ModelInfo) -> bool:
    """Whether an epoch's batches consist of the same images, as far as is known."""
    if before.config.batch_size != now.config.batch_size:
        return False
    if before.data is None or now.data is None:
        return True
    return before.data.splits["train"].digest == now.data.splits["train"].digest


def _find_seen(before: ModelInfo, data: Fingerprint | None, judged: Collection[str]) -> list[str]:
    """For each judged split: how many of its images were used to train, in words."""
    found = []
    for trained in _networks(before):
        for split in judged:
            if trained.data is None or data is None:
                continue
            if count := trained.data.count_seen(data, split):
                use = "trained on" if split == "val" else "trained on or chosen by"
                total = data.splits[split].count
                found.append(f"{count:,} of {total:,} {split} images are ones that it was {use}")
    return found


def _networks(info: ModelInfo) -> tuple[ModelInfo, ...]:
    return info.members or (info,)


def _name(info: DatasetInfo) -> str:
    return safe_text(info.name, 60)


def _list_names(names: Collection[str]) -> str:
    return safe_text(", ".join(sorted(names)), 60)

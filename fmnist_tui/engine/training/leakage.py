"""Checks that no run is evaluated on images that its weights were trained on."""

from __future__ import annotations

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError
from fmnist_tui.util.paths import expand_home

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


def check_no_leak(source: str, before: RunConfig, now: RunConfig) -> None:
    """Refuse weights that were trained, with the config `before`, on images which a run with the
    config `now` holds out."""
    if before.classes and now.classes and not set(before.classes) & set(now.classes):
        return
    # A run without validation images may train on what used to be validation images.
    if now.val_fraction == 0 and before.split_seed == now.split_seed:
        return
    if difference := split_difference(before, now):
        raise CheckpointError(
            f"{source}: {difference}: it was trained on images that are held out here; keep its"
            " value"
        )

"""Which images are kept from a training, to judge it by."""

from __future__ import annotations

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.util.paths import expand_home

# What decides which images a run is validated on (and, in folders without a test split of
# their own, tested on).
_CUT = ("val_fraction", "split_seed")


def dataset_key(config: RunConfig) -> str:
    """A config's data set; a path is the same however it is written."""
    kind, colon, path = config.dataset.partition(":")
    return f"{kind}:{expand_home(path).resolve()}" if colon else kind


def split_difference(mine: RunConfig, theirs: RunConfig) -> str:
    """What cuts the same data set otherwise in one config than in the other, with both
    values; nothing where there is no such thing."""
    if dataset_key(mine) == dataset_key(theirs):
        for key in _CUT:
            values = [getattr(config, key) for config in (mine, theirs)]
            if values[0] != values[1]:
                return f"{key} {values[0]:g} / {values[1]:g}"
    return ""


def leak_reason(before: RunConfig, now: RunConfig) -> str:
    """Why weights that were trained so must not be judged so: they have learnt from images
    that are kept from them now. Nothing where all is well."""
    apart = before.classes and now.classes and not set(before.classes) & set(now.classes)
    found = "" if apart else split_difference(before, now)
    # Who validates on nothing any more may learn from what was validation before.
    if not found or (now.val_fraction == 0 and before.split_seed == now.split_seed):
        return ""
    return f"{found}: it has learnt from images that would be kept from it here; keep its value"

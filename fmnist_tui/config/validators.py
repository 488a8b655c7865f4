"""What a config must be beyond types and ranges: names that are known, settings that agree.

The functions for single fields take a value and give it back, perhaps put in order;
`conflicts` tells of settings that are each right and together impossible.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from fmnist_tui.config import dataset_catalog, plugins
from fmnist_tui.util.errors import near

if TYPE_CHECKING:
    from fmnist_tui.config.run_config import RunConfig

# The parts of a network that have the same name in all of them.
CONVOLUTIONS, DENSE, BODY = "convolutions", "dense", "body"
PARTS = f"{CONVOLUTIONS}, {DENSE}, {BODY} (all but the head), names of parts (* for any)"
_PART = re.compile(r"[\w.*?\[\]!-]+")

# A key, its value, and what would be right.
Conflict = tuple[str, object, str]


def wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{text}", {"text": message})


def _among(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise wrong(f"not known{near(value, known)} (there are {', '.join(known)})")
    return value


def model(value: str) -> str:
    if value.startswith(plugins.TORCHVISION) and value.removeprefix(plugins.TORCHVISION):
        return value
    return _among(value, plugins.names("models"))


def optimiser(value: str) -> str:
    return _among(value, plugins.names("optim"))


def dataset(value: str) -> str:
    if dataset_catalog.is_dataset_name(value):
        return value
    return _among(
        value, (*dataset_catalog.DATASETS, *(f"{kind}:PATH" for kind in dataset_catalog.FROM_PATH))
    )


def class_numbers(value: object, info: ValidationInfo) -> object:
    """Class names and numbers, in a list or separated by commas, as a tuple of numbers."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        return value
    facts = dataset_catalog.facts(info.data.get("dataset", ""))
    by_name = {name.lower(): number for number, name in enumerate(facts.classes)} if facts else {}

    def number(part: object) -> object:
        if not isinstance(part, str):
            return part
        if part.isdecimal() and part.lower() not in by_name:
            return int(part)
        if part.lower() in by_name:
            return by_name[part.lower()]
        if facts is None:
            raise wrong(f"{part!r} is not a class number (names are known only for built-in sets)")
        raise wrong(f"{part!r} is not a class of {facts.name}{near(part, facts.classes)}")

    return tuple(number(part) for part in value)


def parts(value: str) -> str:
    """Names of parts separated by commas, each once; which of them a model has is not known
    here."""
    words = dict.fromkeys(word.strip() for word in value.split(",") if word.strip())
    if [*words] == ["none"]:
        return ""
    for word in words:
        if not _PART.fullmatch(word):
            raise wrong(f"{word!r} is no name of a part: allowed are {PARTS}")
    return ", ".join(words)


def conflicts(config: RunConfig) -> Iterator[Conflict]:
    """Settings that are each right and together impossible."""
    facts = dataset_catalog.facts(config.dataset)
    if config.flip and facts is not None and not facts.mirror:
        yield "flip", True, f"{facts.title} must not be mirrored: allowed is false"
    if config.tta != "none" and facts is not None and not facts.mirror:
        yield "tta", config.tta, f"{facts.title} must not be mirrored: allowed is none"
    if config.patience and not config.val_fraction:
        yield (
            "patience",
            config.patience,
            "needs a validation split: set val_fraction above 0, or patience to 0",
        )
    if config.classes is not None:
        yield from _class_conflicts(config.classes, facts)
    if config.input_size != 28 and not config.dataset.startswith("folder:"):
        yield "input_size", config.input_size, f"{config.dataset} is 28×28: allowed is 28"
    if config.colour and not config.dataset.startswith("folder:"):
        yield "colour", True, f"{config.dataset} is grey: allowed is false"
    for key in ("shift", "crop"):
        if getattr(config, key) >= config.input_size:
            side = config.input_size
            yield key, getattr(config, key), f"must be below the image's side ({side})"
    if config.mixup and config.cutmix:
        yield "cutmix", config.cutmix, "cannot be used with mixup: set one of them to 0"
    if facts is not None and facts.train and config.limit is not None:
        most = math.ceil(facts.train * (1 - config.val_fraction))
        if config.limit > most:
            yield "limit", config.limit, f"{facts.name} leaves {most:,} training images at most"
    yield from _transfer_conflicts(config)


def _class_conflicts(
    classes: tuple[int, ...], facts: dataset_catalog.DatasetFacts | None
) -> Iterator[Conflict]:
    if len(set(classes)) != len(classes):
        yield "classes", list(classes), "names a class twice"
    elif len(classes) < 2:
        yield "classes", list(classes), "must be two classes or more"
    elif min(classes) < 0:
        yield "classes", list(classes), "class numbers start at 0"
    elif facts is not None and max(classes) >= len(facts.classes):
        last = len(facts.classes) - 1
        yield "classes", list(classes), f"{facts.name} has the classes 0 to {last}"


def _transfer_conflicts(config: RunConfig) -> Iterator[Conflict]:
    if config.freeze and config.start is None:
        yield (
            "freeze",
            config.freeze,
            "there are no weights to keep as they are: give start, or freeze nothing",
        )
    if config.renew and config.start is None:
        yield "renew", config.renew, "all begins anew where there is no start: leave it empty"
    if config.body_lr != 1 and BODY in config.freeze.split(", "):
        yield "body_lr", config.body_lr, "all but the head is frozen: allowed is 1"

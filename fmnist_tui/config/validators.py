"""Validators of single settings, beyond types and ranges: each returns the normalised value."""

from __future__ import annotations

import re

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from fmnist_tui.config import dataset_catalog, plugins
from fmnist_tui.util.errors import did_you_mean

# The parts of a network that have the same name in all of them.
CONVOLUTIONS, DENSE, BODY = "convolutions", "dense", "body"
PARTS = f"{CONVOLUTIONS}, {DENSE}, {BODY} (all but the head), names of parts (* for any)"
_PART = re.compile(r"[\w.*?\[\]!-]+")


def wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{text}", {"text": message})


def _among(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise wrong(f"not known{did_you_mean(value, known)} (there are {', '.join(known)})")
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


def class_numbers(value: object, context: ValidationInfo) -> object:
    """Class names and numbers, in a list or separated by commas, as a tuple of numbers."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        return value
    info = dataset_catalog.find_dataset_info(context.data.get("dataset", ""))
    by_name = {name.lower(): number for number, name in enumerate(info.classes)} if info else {}

    def number(part: object) -> object:
        if not isinstance(part, str):
            return part
        if part.isdecimal() and part.lower() not in by_name:
            return int(part)
        if part.lower() in by_name:
            return by_name[part.lower()]
        if info is None:
            raise wrong(f"{part!r} is not a class number (names are known only for built-in sets)")
        raise wrong(f"{part!r} is not a class of {info.name}{did_you_mean(part, info.classes)}")

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

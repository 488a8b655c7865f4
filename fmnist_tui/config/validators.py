"""Validators of single settings, beyond types and ranges: each returns the normalised value."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from fmnist_tui.config import dataset_catalog, plugins
from fmnist_tui.util.errors import did_you_mean
from fmnist_tui.util.paths import expand_home

# Parts that every network has.
CONVOLUTIONS, DENSE, BODY = "convolutions", "dense", "body"
ALLOWED_PARTS = f"{CONVOLUTIONS}, {DENSE}, {BODY} (all but the head), names of parts (* for any)"
_PART_NAME = re.compile(r"[\w.*?\[\]!-]+")


def _invalid(message: str) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{text}", {"text": message})


def _check_choice(value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _invalid(f"unknown{did_you_mean(value, choices)} (there are {', '.join(choices)})")
    return value


def _check_plugin(kind: str, value: str) -> str:
    is_known = plugins.is_name(kind, value)
    return value if is_known else _check_choice(value, plugins.plugin_names(kind))


def validate_model(value: str) -> str:
    prefix = plugins.TORCHVISION_PREFIX
    if value.startswith(prefix) and value != prefix:
        return value
    return _check_plugin("models", value)


def validate_optimiser(value: str) -> str:
    return _check_plugin("optim", value)


def validate_dataset(value: str) -> str:
    if dataset_catalog.is_dataset_name(value):
        kind, colon, path = value.partition(":")
        # Absolute, because a run is resumed from anywhere.
        return f"{kind}:{os.path.abspath(expand_home(path))}" if colon else value  # noqa: PTH100
    return _check_choice(value, dataset_catalog.known_datasets())


def parse_class_numbers(value: object, context: ValidationInfo) -> object:
    """Class names and numbers, in a list or separated by commas, as a tuple of numbers."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        return value
    info = dataset_catalog.find_dataset_info(context.data.get("dataset", ""))
    by_name = {name.lower(): number for number, name in enumerate(info.classes)} if info else {}

    def parse_class(part: object) -> object:
        if not isinstance(part, str):
            return part
        if part.lower() in by_name:
            return by_name[part.lower()]
        if part.isdecimal():
            return int(part)
        if info is None:
            raise _invalid(f"{part!r} is not a number (only built-in datasets have class names)")
        raise _invalid(f"{part!r} is not a class of {info.name}{did_you_mean(part, info.classes)}")

    return tuple(parse_class(part) for part in value)


def validate_parts(value: str) -> str:
    """Names of parts, without duplicates; the model checks whether they exist."""
    words = dict.fromkeys(word.strip() for word in value.split(",") if word.strip())
    if [*words] == ["none"]:
        return ""
    for word in words:
        if not _PART_NAME.fullmatch(word):
            raise _invalid(f"{word!r} is not the name of a part: allowed are {ALLOWED_PARTS}")
    return ", ".join(words)


DatasetName = Annotated[str, AfterValidator(validate_dataset)]
ModelName = Annotated[str, AfterValidator(validate_model)]
OptimiserName = Annotated[str, AfterValidator(validate_optimiser)]
ClassNumbers = Annotated[tuple[int, ...] | None, BeforeValidator(parse_class_numbers)]
PartNames = Annotated[str, AfterValidator(validate_parts)]

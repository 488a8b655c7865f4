"""Models and optimisers by name, listed without importing them.

A built-in one is a file: `engine/models/two_conv.py` is the model `two-conv`. Other
packages add theirs through the entry point groups `fmnist_tui.models` and
`fmnist_tui.optim`. Listing names reads a folder and package metadata, never torch.
`torchvision:NAME` is any classifier of torchvision, adapted to the size of the images.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from fmnist_tui.util.errors import UserError, did_you_mean, format_error

TORCHVISION_PREFIX = "torchvision:"
KINDS = {"models": "model", "optim": "optimiser"}
_ENGINE = Path(__file__).parents[1] / "engine"


@cache
def _built_in(kind: str) -> dict[str, str]:
    return {
        path.stem.replace("_", "-"): f"fmnist_tui.engine.{kind}.{path.stem}"
        for path in sorted((_ENGINE / kind).glob("*.py"))
        if not path.stem.startswith("_")
    }


@cache
def _plugins(kind: str) -> dict[str, EntryPoint]:
    entries = entry_points(group=f"fmnist_tui.{kind}")
    return {entry.name: entry for entry in entries if entry.name not in _built_in(kind)}


def plugin_names(kind: str) -> tuple[str, ...]:
    """All names of `kind` ("models" or "optim"), without those of torchvision."""
    return (*_built_in(kind), *_plugins(kind))


def check_plugin_name(kind: str, name: str) -> str:
    """`name` if it exists; otherwise a UserError that suggests similar names."""
    names = plugin_names(kind)
    if name in names:
        return name
    raise UserError(
        f"unknown {KINDS[kind]} {name!r}{did_you_mean(name, names)} (there are {', '.join(names)})"
    )


def load_plugin(kind: str, name: str) -> Any:
    """The module of that name (a plugin may be any object with the same attributes)."""
    if kind == "models" and name.startswith(TORCHVISION_PREFIX):
        adapter = importlib.import_module("fmnist_tui.engine.models._torchvision")
        return adapter.TorchvisionModel(name.removeprefix(TORCHVISION_PREFIX))
    check_plugin_name(kind, name)
    if name in _built_in(kind):
        return importlib.import_module(_built_in(kind)[name])
    try:
        return _plugins(kind)[name].load()
    except Exception as error:
        raise UserError(
            f"cannot load {KINDS[kind]} {name!r} (a plugin): {format_error(error)}"
        ) from error

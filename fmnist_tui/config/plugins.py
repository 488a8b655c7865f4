"""Names of interchangeable parts, without importing what they name.

A built-in part is a file: `engine/models/two_conv.py` is the model `two-conv`. Other
people's packages add parts through the entry point groups `fmnist_tui.models` and
`fmnist_tui.optim`. Listing names reads a folder and package metadata, never torch;
`load` imports the one that is wanted. `torchvision:NAME` is any classifier of
torchvision's, adapted to the images at hand.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from fmnist_tui.util.errors import UserError, did_you_mean, reason

TORCHVISION = "torchvision:"
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
    found = {entry.name: entry for entry in entry_points(group=f"fmnist_tui.{kind}")}
    return {name: entry for name, entry in found.items() if name not in _built_in(kind)}


def names(kind: str) -> tuple[str, ...]:
    """Every name of `kind` ("models" or "optim") that `load` would accept."""
    return (*_built_in(kind), *_plugins(kind))


def check(kind: str, name: str) -> str:
    """`name` itself, if it names a part; otherwise a UserError that offers near names."""
    if name in names(kind):
        return name
    known = names(kind)
    raise UserError(
        f"{KINDS[kind]} {name!r} is not known{did_you_mean(name, known)}"
        f" (there are {', '.join(known)})"
    )


def load(kind: str, name: str) -> Any:
    """The part's module (a plugin may be any object with the same attributes)."""
    if kind == "models" and name.startswith(TORCHVISION):
        adapter = importlib.import_module("fmnist_tui.engine.models._torchvision")
        return adapter.TorchvisionModel(name.removeprefix(TORCHVISION))
    check(kind, name)
    if name in _built_in(kind):
        return importlib.import_module(_built_in(kind)[name])
    try:
        return _plugins(kind)[name].load()
    except Exception as error:
        raise UserError(
            f"{KINDS[kind]} {name!r} (a plugin) cannot be loaded: {reason(error)}"
        ) from error

"""Models and optimisers by name, listed without importing them.

A built-in one is a file: `engine/models/two_conv.py` is the model `two-conv`. Other
packages add theirs through the entry point groups `fmnist_tui.models` and
`fmnist_tui.optim`. Listing names reads a folder and package metadata, never torch.
`torchvision:NAME` is any classifier of torchvision, adapted to the size of the images.
"""

from __future__ import annotations

import importlib
import traceback
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from fmnist_tui.util.errors import UserError, did_you_mean, format_unexpected_error
from fmnist_tui.util.text import safe_text

Built = TypeVar("Built")

TORCHVISION_PREFIX = "torchvision:"
KINDS = {"models": "model", "optim": "optimiser"}
_ENGINE = Path(__file__).parents[1] / "engine"
# Letters of what a plugin says of its error
_LONGEST_ERROR = 300


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


def is_name(kind: str, name: str) -> bool:
    """Whether a model or optimiser has that name. One of our own is found without a look at the
    metadata of all packages, which takes a moment."""
    return name in _built_in(kind) or name in _plugins(kind)


def plugin_names(kind: str) -> tuple[str, ...]:
    """All names of `kind` ("models" or "optim"), without those of torchvision."""
    return (*_built_in(kind), *_plugins(kind))


def check_plugin_name(kind: str, name: str) -> str:
    """`name` if it exists; otherwise a UserError that suggests similar names."""
    if is_name(kind, name):
        return name
    names = plugin_names(kind)
    raise UserError(
        f"unknown {KINDS[kind]} {name!r}{did_you_mean(name, names)} (there are {', '.join(names)})"
    )


def unused_settings(model: str) -> tuple[str, ...]:
    """The settings of models that this one does not have."""
    if model.startswith(TORCHVISION_PREFIX):
        return "width", "dropout"
    return ("width",) if model == "linear" else ()


def load_plugin(kind: str, name: str) -> Any:
    """The module of that name (a plugin may be any object with the same attributes).

    A UserError names the file if it cannot be imported or has no `build`."""
    if kind == "models" and name.startswith(TORCHVISION_PREFIX):
        adapter = importlib.import_module("fmnist_tui.engine.models._torchvision")
        return adapter.TorchvisionModel(name.removeprefix(TORCHVISION_PREFIX))
    check_plugin_name(kind, name)
    try:
        built_in = _built_in(kind).get(name)
        module = importlib.import_module(built_in) if built_in else _plugins(kind)[name].load()
    except (Exception, SystemExit) as error:
        raise _mistake(kind, name, f"cannot be loaded: {_describe(error)}") from error
    if not callable(getattr(module, "build", None)):
        raise _mistake(kind, name, "has no function build")
    return module


def build_plugin(kind: str, name: str, expected: type[Built], *arguments: Any) -> Built:
    """What the `build` of a model or optimiser returns, which is checked.

    A UserError names its file, and the line that raised an error."""
    module = load_plugin(kind, name)
    try:
        built = module.build(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        what = f"cannot be built: {_describe(error)}"
        raise _mistake(kind, name, what, _line_in(module, error)) from error
    if not isinstance(built, expected):
        what = f"is unusable: build returned {type(built).__name__}, not {expected.__name__}"
        raise _mistake(kind, name, what)
    return built


def _mistake(kind: str, name: str, what: str, line: str = "") -> UserError:
    """An error in the file of a model or optimiser, in one line."""
    file: object = name
    if name in _built_in(kind):
        file = _ENGINE / kind / f"{name.replace('-', '_')}.py"
    elif name in _plugins(kind):
        file = f"plugin {_plugins(kind)[name].value}"
    return UserError(f"{KINDS[kind]} {safe_text(name)} {what} ({safe_text(file)}{line})")


def _describe(error: BaseException) -> str:
    """An error of the plugin in a few words; its message may be of any length, or raise."""
    try:
        return safe_text(format_unexpected_error(error), _LONGEST_ERROR)
    except Exception:  # noqa: BLE001
        return type(error).__name__


def _line_in(module: Any, error: BaseException) -> str:
    """`, line 12` of the module's file, where an error came from."""
    frames = traceback.extract_tb(error.__traceback__)
    file = getattr(module, "__file__", None)
    line = next((frame.lineno for frame in reversed(frames) if frame.filename == file), None)
    return f", line {line}" if line is not None else ""

"""The screens, one file each. A new file with a `BenchScreen` in it is a new screen."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from fmnist_tui.tui.screen import BenchScreen


def all_screens() -> tuple[type[BenchScreen], ...]:
    """Every screen there is, in its place; each says itself which key, title and place."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(sorted(_below(BenchScreen), key=lambda screen: screen.ORDER))


def _below(kind: type[BenchScreen]) -> Iterator[type[BenchScreen]]:
    for screen in kind.__subclasses__():
        if screen.__module__.startswith(f"{__name__}."):
            yield screen
        yield from _below(screen)

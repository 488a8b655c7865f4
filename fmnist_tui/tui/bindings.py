"""The bindings of all screens and their panes, found by class, for keys.toml and the palette."""

from __future__ import annotations

from collections.abc import Iterator

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from fmnist_tui.tui import screens

NodeClass = type[DOMNode]


def binding_ids() -> set[str]:
    """The ids of all bindings, which keys.toml may change."""
    return {
        binding.id
        for owner in _subclasses(DOMNode)
        for binding in owner.__dict__.get("BINDINGS", ())
        if isinstance(binding, Binding) and binding.id
    }


def screen_bindings(name: str) -> Iterator[tuple[NodeClass, Binding]]:
    """The bindings of a screen, then those of its own panes, with the class that has them."""
    package = f"{screens.__name__}.{name}."
    owners = [each for each in _subclasses(DOMNode) if each.__module__.startswith(package)]
    owners.sort(key=lambda owner: not issubclass(owner, Screen))
    for owner in dict.fromkeys(owners):
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.description:
                yield owner, binding


def _subclasses(base: NodeClass) -> Iterator[NodeClass]:
    for child in base.__subclasses__():
        yield child
        yield from _subclasses(child)

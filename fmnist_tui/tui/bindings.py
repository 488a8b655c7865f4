"""The bindings of all screens and their panes, found by class, for keys.toml and the palette."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen

from fmnist_tui.tui import screens
from fmnist_tui.tui.key_names import all_bindings, key_word, set_keymap, subclasses
from fmnist_tui.tui.state.settings import Settings

NodeClass = type[DOMNode]
_PACKAGE = "fmnist_tui."
_CURSOR_KEYS = {*("up", "down", "left", "right"), *("pageup", "pagedown", "home", "end")}


def load_keys(settings: Settings) -> dict[str, str]:
    """Take the keys of keys.toml: the ids of bindings with their keys."""
    known = {binding.id for _, binding in all_bindings() if binding.id}
    settings.check_keys(known, describe_clashes)
    set_keymap(settings.keymap)
    return settings.keymap


def screen_bindings(name: str) -> Iterator[tuple[NodeClass, Binding]]:
    """The bindings of a screen, then those of its own panes, with the class that has them."""
    package = f"{screens.__name__}.{name}."
    owners = [each for each in subclasses(DOMNode) if each.__module__.startswith(package)]
    owners.sort(key=lambda owner: not issubclass(owner, Screen))
    for owner in dict.fromkeys(owners):
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.description:
                yield owner, binding


def is_own(binding: Binding) -> bool:
    """Whether this program has defined the binding, and not Textual."""
    return (binding.action, binding.description) in _actions(_PACKAGE)[0]


def is_movement(binding: Binding) -> bool:
    """Whether a binding only moves what is shown or chosen: a cursor key does the same."""
    return (
        binding.action.startswith("scroll_")
        or (binding.action, binding.description) in _actions("")[1]
    )


@cache
def _actions(package: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What the bindings of a package do, and what those of them with cursor keys do."""
    every, moving = set(), set()
    for _, binding in all_bindings(package):
        every.add((binding.action, binding.description))
        if any(key.split("+")[-1] in _CURSOR_KEYS for key in binding.key.split(",")):
            moving.add((binding.action, binding.description))
    return every, moving


def describe_clashes(keymap: Mapping[str, str]) -> str:
    """`c is both train.stop and train.checkpoint` for the keys of keys.toml; empty if none is
    used twice where both would work."""
    if not keymap:
        return ""
    owners: dict[str, dict[str, set[NodeClass]]] = {}
    for owner, binding in all_bindings():
        if binding.id:
            for each in Binding.make_bindings([_with_keys(binding, keymap)]):
                owners.setdefault(each.key, {}).setdefault(binding.id, set()).add(owner)
    found = [
        f"{key_word(key)} is both {one} and {other}"
        for key, by_id in owners.items()
        for one, other in itertools.combinations(by_id, 2)
        if (one in keymap or other in keymap) and _work_together(by_id[one], by_id[other])
    ]
    return "; ".join(found)


def _with_keys(binding: Binding, keymap: Mapping[str, str]) -> Binding:
    return replace(binding, key=keymap.get(binding.id or "", binding.key))


def _work_together(some: set[NodeClass], others: set[NodeClass]) -> bool:
    """Whether one key could mean both: in one pane, in a pane and its screen, or everywhere."""

    def holds(outer: NodeClass, inner: NodeClass) -> bool:
        if issubclass(outer, App):
            return not issubclass(inner, ModalScreen)
        package = outer.__module__.rpartition(".")[0]
        return issubclass(outer, Screen) and inner.__module__.startswith(f"{package}.")

    return any(
        one is other or holds(one, other) or holds(other, one)
        for one, other in itertools.product(some, others)
    )

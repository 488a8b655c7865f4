"""The keys of bindings, as the user has set them, for every text that names a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import format_key

# What keys are called in a sentence, and where symbols cannot be shown.
_WORDS = {
    "up": "up",
    "down": "down",
    "left": "left",
    "right": "right",
    "enter": "enter",
    "escape": "escape",
    "backspace": "backspace",
}
_PLACE = re.compile(r"\{([a-z_]+\.[a-z_]+)\}")
# The keys of keys.toml, by the ids of bindings.
_changed: dict[str, str] = {}


def set_keymap(keymap: Mapping[str, str]) -> None:
    """Take the keys of keys.toml: the ids of bindings with their keys."""
    _changed.clear()
    _changed.update(keymap)


def key_name(binding_id: str) -> str:
    """What a sentence calls the (first) key of a binding: `s`, `enter`, `ctrl+x`."""
    keys = _changed.get(binding_id) or default_key(binding_id)
    return key_word(keys.split(",")[0].strip())


def name_keys(text: str) -> str:
    """The text with the names of keys for `{train.stop}` and other ids of bindings."""
    return _PLACE.sub(lambda found: key_name(found[1]) if default_key(found[1]) else found[0], text)


def list_keys(rows: Iterable[tuple[str, str]]) -> str:
    """A line for each: `{train.stop}`, or another text that names keys, and what it does."""
    named = [(name_keys(keys), what) for keys, what in rows]
    width = max(len(keys) for keys, _ in named) + 2
    return "\n".join(f"{keys:<{width}}{what}" for keys, what in named)


def key_word(key: str) -> str:
    """What a sentence calls a key."""
    return _join(key, lambda last: _WORDS.get(last) or format_key(last))


def key_symbol(key: str) -> str:
    """The same with symbols, for bars and lists: `⏎`, `shift+←`."""
    return _join(key, format_key)


def _join(key: str, name: Callable[[str], str]) -> str:
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    return "+".join([*modifiers, name(last)])


@cache
def default_key(binding_id: str) -> str:
    """The keys of a binding, as the program sets them; empty if there is no such binding."""
    return next((each.key for _, each in all_bindings() if each.id == binding_id), "")


def all_bindings(package: str = "") -> Iterator[tuple[type[DOMNode], Binding]]:
    """The bindings of all classes (of a package), with the class that has them."""
    for owner in subclasses(DOMNode):
        if not owner.__module__.startswith(package):
            continue
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding):
                yield owner, binding


def subclasses(base: type[DOMNode]) -> Iterator[type[DOMNode]]:
    """All classes below a class."""
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)

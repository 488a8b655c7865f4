"""Going through items round and round, and finding them by a part of their name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def next_item(items: Iterable[Item], current: Item, by: int = 1) -> Item:
    """The item `by` after `current`, where the first follows the last; the first item if
    `current` is not one of them."""
    known = list(items)
    return known[(known.index(current) + by) % len(known)] if current in known else known[0]


def find_matches(items: Iterable[Item], typed: str, name: Callable[[Item], str]) -> list[Item]:
    """The items that match what was typed, the best first: names that start with it, then names
    with words that start with all that was typed, then names that hold it anywhere."""
    ranked = [(match_rank(typed, name(item)), item) for item in items]
    found = [(rank, item) for rank, item in ranked if rank is not None]
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def match_rank(typed: str, name: str) -> int | None:
    """How well a name matches what was typed: 0 is best, None is not at all."""
    name, words = name.lower(), typed.lower().split()
    if name.startswith(" ".join(words)):
        return 0
    ranks = [_word_rank(word, name) for word in words]
    return None if None in ranks else max(filter(None, ranks))


def _word_rank(word: str, name: str) -> int | None:
    if word not in name:
        return None
    starts = (at for at in range(len(name)) if name.startswith(word, at))
    return 1 if any(at == 0 or not name[at - 1].isalnum() for at in starts) else 2

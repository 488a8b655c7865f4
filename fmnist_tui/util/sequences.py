"""Going through the items of a sequence, round and round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def next_item(items: Iterable[Item], current: Item, by: int = 1) -> Item:
    """The item `by` after `current`, where the first follows the last; the first item if
    `current` is not one of them."""
    known = list(items)
    return known[(known.index(current) + by) % len(known)] if current in known else known[0]

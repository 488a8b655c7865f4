"""Going through a sequence, round and round."""

from __future__ import annotations

from fmnist_tui.util.sequences import next_item


def test_the_first_item_follows_the_last() -> None:
    assert [next_item("abc", item) for item in "abc"] == ["b", "c", "a"]
    assert next_item("abc", "a", -1) == "c"


def test_the_first_item_follows_an_unknown_one() -> None:
    assert next_item("abc", "x") == "a" and next_item("abc", "x", -1) == "a"

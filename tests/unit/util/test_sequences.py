"""Going through a sequence, round and round; finding items by what was typed."""

from __future__ import annotations

from fmnist_tui.util.sequences import find_matches, next_item


def test_the_first_item_follows_the_last() -> None:
    assert [next_item("abc", item) for item in "abc"] == ["b", "c", "a"]
    assert next_item("abc", "a", -1) == "c"


def test_the_first_item_follows_an_unknown_one() -> None:
    assert next_item("abc", "x") == "a" and next_item("abc", "x", -1) == "a"


def test_names_that_start_with_what_was_typed_come_first_then_words_then_parts() -> None:
    names = ["best network", "a two-layer net", "two-conv", "Recipe: two-conv", "other"]
    assert find_matches(names, "two", str) == [
        "two-conv",
        "a two-layer net",
        "Recipe: two-conv",
        "best network",
    ]
    assert find_matches(names, " conv  REC ", str) == ["Recipe: two-conv"]
    assert find_matches(names, "", str) == names and find_matches(names, "xyz", str) == []

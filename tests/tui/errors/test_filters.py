"""Filters that are typed, and the list of class pairs."""

from __future__ import annotations

import pytest

from fmnist_tui.analysis.predictions import Misclassified
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.tui.screens.errors.filters import ALL_ERRORS, pair_choices, parse_filter, parse_key

SHIRT, TSHIRT, COAT = 6, 0, 4
DIGITS = tuple("0123456789")


def miss(true: int, predicted: int, index: int = 5) -> Misclassified:
    return Misclassified(index, 0, true, predicted, 0.9, 0.05)


@pytest.mark.parametrize(
    ("text", "matching", "others"),
    [
        ("", [(SHIRT, COAT), (1, 2)], []),
        # An exact name matches only its class: T-shirt/top is not a Shirt.
        ("shirt", [(SHIRT, COAT), (COAT, SHIRT)], [(TSHIRT, COAT), (1, 2)]),
        ("t-sh", [(TSHIRT, COAT), (COAT, TSHIRT)], [(SHIRT, COAT)]),
        ("shirt>coat", [(SHIRT, COAT)], [(COAT, SHIRT), (SHIRT, TSHIRT)]),
        (" Shirt → Coat ", [(SHIRT, COAT)], [(COAT, SHIRT)]),
        (">coat", [(SHIRT, COAT)], [(COAT, SHIRT)]),
        ("coat>", [(COAT, SHIRT)], [(SHIRT, COAT)]),
        ("xyz", [], [(SHIRT, COAT)]),
        ("shirt>xyz", [], [(SHIRT, COAT)]),
    ],
)
def test_class_names_match_their_images(
    text: str, matching: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    image_filter = parse_filter(text, GARMENTS)
    assert all(image_filter.matches(miss(*pair)) for pair in matching)
    assert not any(image_filter.matches(miss(*pair)) for pair in others)


def test_a_number_is_an_index_unless_it_is_the_name_of_a_class() -> None:
    assert parse_filter("12", GARMENTS).matches(miss(1, 2, index=12))
    assert not parse_filter("12", GARMENTS).matches(miss(1, 2, index=123))
    assert parse_filter("7", DIGITS).matches(miss(7, 1, index=3))
    assert not parse_filter("7", DIGITS).matches(miss(3, 1, index=7))
    assert parse_filter("#7", DIGITS).matches(miss(3, 1, index=7))
    assert parse_filter("9" * 5000, GARMENTS).index is not None


def test_an_unknown_class_is_reported() -> None:
    assert "xyz" in parse_filter("shirt>xyz", GARMENTS).problem
    assert not parse_filter("shirt", GARMENTS).problem


def test_pairs_are_listed_largest_first_and_parsed_from_their_keys() -> None:
    confusion = [[5, 1, 0], [7, 2, 0], [0, 0, 9]]
    choices = pair_choices(confusion, ("a", "b", "c"))
    assert [text.split() for _, text in choices[:3]] == [
        ["all", "errors", "8"],
        ["b", "→", "a", "7"],
        ["a", "→", "b", "1"],
    ]
    pairs = [parse_key(key) for key, _ in choices]
    assert pairs[0] == ALL_ERRORS
    assert {(1, None), (None, 0), (2, 2)} <= set(pairs)
    # Pairs without images are not listed.
    assert (2, 0) not in pairs and (2, None) not in pairs
    assert len(set(pairs)) == len(pairs)

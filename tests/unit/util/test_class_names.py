"""Class names in little space."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.config.dataset_catalog import DIGITS, GARMENTS, KANA, LETTERS
from fmnist_tui.util.class_names import (
    names_width,
    short_name,
    short_names,
    short_pair,
    short_pairs,
)
from fmnist_tui.util.text import cell_width, safe_text
from tests.unit.support import PROPERTY, TEXTS

SHORT_GARMENTS = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot",
)  # fmt: skip


def test_names_are_whole_if_all_fit_or_else_have_their_short_forms() -> None:
    assert short_names(GARMENTS, 11) == GARMENTS
    assert short_names(GARMENTS, 10) == short_names(GARMENTS, 8) == SHORT_GARMENTS
    assert short_names(LETTERS, 1)[:3] == ("A", "B", "C")
    assert short_names(DIGITS, 1) == DIGITS and short_names(KANA, 2) == KANA


def test_a_name_is_cut_with_a_sign_where_even_its_short_form_does_not_fit() -> None:
    assert short_name(GARMENTS, 2, 7) == "Pullov…"
    assert short_name(["golden retriever", "cat"], 0, 8) == "golden…"
    assert short_name(["\x1b[2J", "x"], 0, 20) == "␛[2J"


def test_two_classes_never_get_the_same_name() -> None:
    assert short_names(["Boot", "Ankle boot"], 4) == ("Boot", "Ank…")
    assert short_names(["golden retriever", "golden eagle"], 7) == ("gol…ver", "gol…gle")
    assert short_names([f"class {number} of mine" for number in range(3)], 6) == (
        "clas…0", "clas…1", "clas…2",
    )  # fmt: skip


def test_of_a_pair_the_longer_name_is_shortened_first() -> None:
    assert short_pair(GARMENTS, 0, 9, 24) == "T-shirt/top → Ankle boot"
    assert short_pair(GARMENTS, 7, 9, 17) == "Sneaker → Boot"
    assert short_pair(GARMENTS, 0, 6, 15) == "T-shirt → Shirt"
    assert short_pair(GARMENTS, 2, 8, 12) == "Pullo… → Bag"
    assert short_pair(GARMENTS, 6, 4, 10, "→") == "Shirt→Coat"
    assert short_pairs(GARMENTS, [(0, 2), (9, 7)], 19) == ["T-shirt → Pullover", "Boot → Sneaker"]
    assert cell_width(short_pair(GARMENTS, 0, 9, 4)) <= 4


def test_a_column_is_as_wide_as_its_longest_name() -> None:
    assert names_width(GARMENTS, 20) == 11
    assert names_width(GARMENTS, 9) == 8
    assert names_width(KANA, 20) == 2 and names_width([], 20) == 0


@PROPERTY
@given(st.lists(TEXTS, min_size=1, max_size=8), st.integers(1, 12))
def test_names_fit_and_differ_where_there_is_room_for_their_numbers(
    names: list[str], width: int
) -> None:
    labels = short_names(names, width)
    assert all(cell_width(label) <= width for label in labels)
    if width > 1:
        pairs = {(label, safe_text(name)) for label, name in zip(labels, names, strict=True)}
        assert len(pairs) == len(set(labels))

"""Fingerprints of datasets: what they say about data that has changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.data.fingerprint import Fingerprint, Ids, SplitFingerprint, identify
from fmnist_tui.data.load import load_dataset


def fingerprint(train: str, val: str, test: str) -> Fingerprint:
    """Splits whose images are letters; capital letters have another class."""

    def split(letters: str) -> SplitFingerprint:
        ids = np.array([ord(letter) for letter in letters.lower()], np.uint64)
        labels = np.array([letter.isupper() for letter in letters], np.int64)
        return SplitFingerprint.of(labels, np.arange(len(letters)), ids)

    return Fingerprint({"train": split(train), "val": split(val), "test": split(test)})


BEFORE = fingerprint("abcdef", "gh", "ij")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (("abcdef", "gh", "ij"), ""),
        (("abcdefxyz", "gh", "ij"), "3 images added"),
        (("abcd", "gh", "ij"), "2 images removed"),
        (("abcdex", "gh", "ij"), "1 image added, 1 image removed"),
        (("abcdei", "gh", "fj"), "2 images in another split"),
        (("abcdefg", "h", "ijx"), "1 image added, 1 image in another split"),
        (("abcdeff", "gh", "ij"), "1 image added"),
        (("abcdfe", "gh", "ij"), "images in another order or with other classes"),
        (("Abcdef", "gh", "ij"), "images in another order or with other classes"),
        (("", "", ""), "10 images removed"),
    ],
)
def test_a_difference_is_said_in_words(now: tuple[str, str, str], expected: str) -> None:
    assert BEFORE.difference(fingerprint(*now)) == expected


@pytest.mark.parametrize(
    ("now", "val", "test"),
    [
        (("abcdef", "gh", "ij"), 0, 0),
        (("abcdefxy", "ghz", "ijw"), 0, 0),
        (("bcde", "gha", "ijf"), 1, 1),
        (("abcdef", "hi", "jg"), 0, 1),
        (("", "abc", "ij"), 3, 0),
    ],
)
def test_held_out_images_that_were_trained_on_are_counted(
    now: tuple[str, str, str], val: int, test: int
) -> None:
    assert BEFORE.count_seen(fingerprint(*now), "val") == val
    assert BEFORE.count_seen(fingerprint(*now), "test") == test


def test_images_that_were_in_both_splits_from_the_start_are_not_counted() -> None:
    assert fingerprint("aab", "c", "a").count_seen(fingerprint("aab", "c", "a"), "test") == 0


def test_a_fingerprint_survives_json() -> None:
    read = Fingerprint.from_dict(json.loads(json.dumps(BEFORE.to_dict())))
    assert BEFORE.difference(read) == read.difference(BEFORE) == ""
    assert read.count_seen(fingerprint("", "", "a"), "test") == 1
    without_ids = Fingerprint.from_dict(BEFORE.to_dict(with_ids=False))
    assert without_ids.difference(BEFORE) == ""
    assert without_ids.difference(fingerprint("a", "b", "c")) == (
        "other images, or cut into other splits"
    )
    assert without_ids.count_seen(BEFORE, "test") == 0


@pytest.mark.parametrize(
    "table", [{}, {"train": {}}, {"train": 3}, [], {"train": {"count": 1, "digest": 0, "ids": "é"}}]
)
def test_a_damaged_fingerprint_is_an_error(table: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Fingerprint.from_dict(table)


def test_equal_pixels_have_equal_ids_and_others_do_not() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    ids: Ids = identify(images)
    np.testing.assert_array_equal(identify(images[::2]), ids[::2])
    images[2, 3, 3] ^= 1
    assert (identify(images) != ids).tolist() == [False, False, True, False, False]


def test_a_published_dataset_needs_no_ids_and_a_limit_changes_nothing(tmp_path: Path) -> None:
    whole, limited = (
        load_dataset("sketches", data_dir=tmp_path, limit=limit) for limit in (None, 50)
    )
    assert whole.fingerprint is not None and limited.fingerprint is not None
    assert whole.train.ids is None and len(limited.train) == 50
    assert whole.fingerprint.difference(limited.fingerprint) == ""
    other = load_dataset("sketches", data_dir=tmp_path, split_seed=1).fingerprint
    assert other is not None and whole.fingerprint.difference(other)

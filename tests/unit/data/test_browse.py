"""Browsing a dataset: splits, filters, finding an image, image statistics."""

from __future__ import annotations

import numpy as np
import pytest

from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.data.browse import DatasetFilter, ImageStatistics, class_means, match_classes
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.util.errors import UserError

CLASSES = ("T-shirt/top", "Trouser", "Shirt")


def split(name: str, labels: list[int], indices: list[int]) -> Split:
    images = np.array(indices, np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    return Split(name, images, np.array(labels, np.int64), np.array(indices, np.int64))


@pytest.fixture
def browse() -> DatasetFilter:
    return DatasetFilter(
        Dataset(
            DatasetInfo("own", "Own", CLASSES),
            split("train", [0, 1, 2, 0, 1], [0, 2, 3, 5, 9]),
            split("val", [2, 2], [1, 4]),
            split("test", [], []),
            "a test",
        )
    )


def test_all_classes_are_shown_until_some_are_selected(browse: DatasetFilter) -> None:
    assert (len(browse), browse.counts, browse.describe()) == (5, (2, 2, 1), "all classes")
    browse.select_classes({2, 0})
    assert [browse.index(number) for number in range(len(browse))] == [0, 3, 5]
    assert [browse.class_name(number) for number in range(3)] == [
        "T-shirt/top",
        "Shirt",
        "T-shirt/top",
    ]
    assert browse.describe() == "T-shirt/top, Shirt"
    assert browse.image(2)[0, 0, 0] == 5
    browse.select_classes(())
    assert len(browse) == 5


def test_the_filter_still_applies_in_another_split(browse: DatasetFilter) -> None:
    browse.select_classes({1})
    browse.select_split("val")
    assert (len(browse), browse.counts) == (0, (0, 0, 2))


def test_the_next_split_is_one_that_has_images(browse: DatasetFilter) -> None:
    assert browse.next_split() == "val"
    browse.select_split("val")
    assert browse.next_split() == "train"


@pytest.mark.parametrize("text", ["5", " 5 ", "#5", "#005"])
def test_an_image_is_found_by_its_index(browse: DatasetFilter, text: str) -> None:
    assert browse.find(text) == 3
    browse.select_classes({0})
    assert browse.find(text) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2", "#2 is of class Trouser, which the filter excludes"),
        ("4", "#4 is in val, not in train"),
        ("7", "train has no image #7: its indices are from 0 to 9"),
        ("9" * 50, "its indices are from 0 to 9"),
        ("boot", "“boot” is not an index: enter a whole number"),
        ("", "is not an index"),
        ("-1", "is not an index"),
        ("²", "is not an index"),
        ("\x1b[2J", "“␛[2J” is not an index"),
    ],
)
def test_the_reason_why_an_image_is_not_found_is_reported(
    browse: DatasetFilter, text: str, message: str
) -> None:
    browse.select_classes({0, 2})
    with pytest.raises(UserError) as caught:
        browse.find(text)
    assert message in str(caught.value)


def test_an_empty_split_has_no_image_to_find(browse: DatasetFilter) -> None:
    browse.select_split("test")
    with pytest.raises(UserError, match="test has no images"):
        browse.find("0")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shirt", {0, 2}),
        ("TROU", {1}),
        ("1", {1}),
        ("0, 1", {0, 1}),
        ("shirt 1", {0, 1, 2}),
        ("sock", set()),
        ("7", set()),
        ("", set()),
    ],
)
def test_classes_are_named_by_part_of_a_name_or_by_number(text: str, found: set[int]) -> None:
    assert match_classes(CLASSES, text) == found


def test_numeric_class_names_are_matched_as_names() -> None:
    assert match_classes(("7", "8", "0"), "0") == {2}


def test_image_statistics() -> None:
    image = np.array([[0, 31], [32, 255]], np.uint8)[..., None]
    statistics = ImageStatistics.measure(image)
    assert (statistics.minimum, statistics.maximum, statistics.mean, statistics.dark_share) == (
        0,
        255,
        79.5,
        0.5,
    )
    assert statistics.histogram == (0.5, 0.25, 0, 0, 0, 0, 0, 0.25)


def test_class_means_are_black_for_empty_classes(browse: DatasetFilter) -> None:
    means = class_means(browse.dataset.train, 3)
    assert means.shape == (3, 4, 4, 1)
    assert means[:, 0, 0, 0].tolist() == [2, 6, 3]  # (0+5)/2 and (2+9)/2, to the even neighbour
    assert class_means(browse.dataset.val, 3)[0].max() == 0

"""Filters by typing, lists of pairs, and pictures by their index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.analysis.predictions import Misclassified, Predictions
from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Split
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.screens.errors import filters
from fmnist_tui.tui.screens.errors.filters import EVERY, SplitImages, parsed
from fmnist_tui.tui.state.dataset_cache import DatasetCache
from fmnist_tui.util.errors import UserError

SHIRT, TSHIRT, COAT = 6, 0, 4
DIGITS = tuple("0123456789")


def miss(true: int, predicted: int, index: int = 5) -> Misclassified:
    return Misclassified(index, 0, true, predicted, 0.9, 0.05)


@pytest.mark.parametrize(
    ("text", "kept", "dropped"),
    [
        ("", [(SHIRT, COAT), (1, 2)], []),
        # A whole name is meant whole: T-shirt/top is not a Shirt.
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
def test_typing_classes_leaves_their_images(
    text: str, kept: list[tuple[int, int]], dropped: list[tuple[int, int]]
) -> None:
    found = parsed(text, GARMENTS)
    assert all(found.keeps(miss(*pair)) for pair in kept)
    assert not any(found.keeps(miss(*pair)) for pair in dropped)


def test_a_number_is_an_index_unless_a_class_is_called_so() -> None:
    assert parsed("12", GARMENTS).keeps(miss(1, 2, index=12))
    assert not parsed("12", GARMENTS).keeps(miss(1, 2, index=123))
    assert parsed("7", DIGITS).keeps(miss(7, 1, index=3))
    assert not parsed("7", DIGITS).keeps(miss(3, 1, index=7))
    assert parsed("#7", DIGITS).keeps(miss(3, 1, index=7))
    assert parsed("9" * 5000, GARMENTS).index is not None


def test_a_class_that_there_is_not_is_named() -> None:
    assert "xyz" in parsed("shirt>xyz", GARMENTS).problem
    assert not parsed("shirt", GARMENTS).problem


def test_pairs_are_offered_with_the_largest_first_and_come_back_from_their_keys() -> None:
    confusion = [[5, 1, 0], [7, 2, 0], [0, 0, 9]]
    offered = filters.choices(confusion, ("a", "b", "c"))
    assert [text.split() for _, text in offered[:3]] == [
        ["all", "errors", "8"],
        ["b", "→", "a", "7"],
        ["a", "→", "b", "1"],
    ]
    pairs = [filters.from_key(name) for name, _ in offered]
    assert pairs[0] == EVERY
    assert {(1, None), (None, 0), (2, 2)} <= set(pairs)
    # Nothing is offered that there is no image of.
    assert (2, 0) not in pairs and (2, None) not in pairs
    assert len(set(pairs)) == len(pairs)


def test_pictures_are_found_by_index_whatever_their_order() -> None:
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    album = SplitImages(Split("val", images, np.array([0, 1, 2]), np.array([30, 10, 20])))
    found = [album.image(index) for index in (10, 20, 30)]
    assert [None if image is None else int(image[0, 0, 0]) for image in found] == [1, 2, 0]
    assert album.image(11) is None and album.image(99) is None


def test_images_that_are_another_class_now_are_counted() -> None:
    images = np.zeros((3, 1, 1, 1), np.uint8)
    album = SplitImages(Split("val", images, np.array([0, 1, 2]), np.array([30, 10, 20])))

    def said(labels: list[int], indices: list[int]) -> Predictions:
        logits = np.zeros((len(labels), 3), np.float32)
        return Predictions("val", logits, np.array(labels), np.array(indices), ("a", "b", "c"))

    assert album.strays(said([1, 2, 0], [10, 20, 30])) == 0
    assert album.strays(said([1, 0, 0], [10, 20, 99])) == 2
    empty = SplitImages(Split("val", images[:0], np.zeros(0, np.int64), np.zeros(0, np.int64)))
    assert empty.strays(said([1], [10])) == 1


def test_all_training_pictures_are_there_though_the_run_learned_from_a_part(
    tmp_path: Path,
) -> None:
    folder = RunFolder.create(tmp_path, "r", "sketches")
    config = RunConfig(dataset="sketches", limit=100)
    folder.config.write_text(recipes.to_toml(config))
    album = filters.open_album(DatasetCache(tmp_path), folder, "train")
    assert sum(album.image(index) is not None for index in range(5000)) > 4000


def test_pictures_that_are_not_here_are_said_with_what_to_do(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r", "fashion")
    library = DatasetCache(tmp_path)
    with pytest.raises(UserError, match=r"not known any more.*config"):
        filters.open_album(library, folder, "test")
    folder.config.write_text(recipes.to_toml(RunConfig(dataset="mnist")))
    with pytest.raises(UserError, match="fetches them"):
        filters.open_album(library, folder, "test")
    folder.config.write_text(recipes.to_toml(RunConfig(dataset=f"folder:{tmp_path / 'gone'}")))
    with pytest.raises(UserError, match="gone"):
        filters.open_album(library, folder, "test")

"""Images by their index, and the dataset that they are loaded from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Split
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.screens.errors.loader import SplitImages, load_images
from fmnist_tui.tui.state.dataset_cache import DatasetCache
from fmnist_tui.util.errors import UserError


def test_images_are_found_by_index_in_any_order() -> None:
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    split_images = SplitImages(Split("val", images, np.array([0, 1, 2]), np.array([30, 10, 20])))
    for index, value in ((10, 1), (20, 2), (30, 0)):
        image = split_images.image(index)
        assert image is not None and image[0, 0, 0] == value
    assert split_images.image(11) is None and split_images.image(99) is None


def test_missing_and_relabelled_images_are_counted() -> None:
    images = np.zeros((3, 1, 1, 1), np.uint8)
    split_images = SplitImages(Split("val", images, np.array([0, 1, 2]), np.array([30, 10, 20])))

    def predictions(labels: list[int], indices: list[int]) -> Predictions:
        logits = np.zeros((len(labels), 3), np.float32)
        return Predictions("val", logits, np.array(labels), np.array(indices), ("a", "b", "c"))

    assert split_images.count_changed(predictions([1, 2, 0], [10, 20, 30])) == 0
    assert split_images.count_changed(predictions([1, 0, 0], [10, 20, 99])) == 2
    empty = SplitImages(Split("val", images[:0], np.zeros(0, np.int64), np.zeros(0, np.int64)))
    assert empty.count_changed(predictions([1], [10])) == 1


def test_images_that_moved_to_another_index_are_counted() -> None:
    zeros, indices = np.zeros(3, np.int64), np.arange(3)
    ids = np.array([7, 8, 9], np.uint64)
    logits = np.zeros((3, 2), np.float32)
    predictions = Predictions("val", logits, zeros, indices, ("a", "b"), ids=ids)
    images = np.zeros((4, 1, 1, 1), np.uint8)
    now = np.array([7, 5, 8, 9], np.uint64)
    one_added = Split("val", images, np.zeros(4, np.int64), np.arange(4), now)
    assert SplitImages(one_added).count_changed(predictions) == 2
    same = Split("val", images[:3], zeros, indices, ids)
    assert SplitImages(same).count_changed(predictions) == 0


def test_all_training_images_are_loaded_for_a_run_with_a_limit(
    tmp_path: Path,
) -> None:
    folder = RunFolder.create(tmp_path, "r", "sketches")
    config = RunConfig(dataset="sketches", limit=100)
    folder.config.write_text(recipes.to_toml(config))
    split_images = load_images(DatasetCache(tmp_path), folder, "train")
    assert sum(split_images.image(index) is not None for index in range(5000)) > 4000


def test_images_of_a_folder_are_read_again(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("a", "b"):
        (photos / name).mkdir(parents=True)
        for number in range(30):
            Image.new("L", (9, 9), number).save(photos / name / f"{number}.png")
    folder = RunFolder.create(tmp_path, "r", "folder")
    folder.config.write_text(recipes.to_toml(RunConfig(dataset=f"folder:{photos}")))
    datasets = DatasetCache(tmp_path / "data")

    def count() -> int:
        images = load_images(datasets, folder, "train")
        return sum(images.image(index) is not None for index in range(100))

    before = count()
    for path in (photos / "b").glob("2*.png"):
        path.unlink()
    assert 0 < count() < before


def test_missing_images_are_reported_with_what_to_do(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r", "fashion")
    datasets = DatasetCache(tmp_path)
    with pytest.raises(UserError, match=r"dataset of this run is unknown.*config"):
        load_images(datasets, folder, "test")
    folder.config.write_text(recipes.to_toml(RunConfig(dataset="mnist")))
    with pytest.raises(UserError, match=r"mnist is not downloaded yet.*downloads it"):
        load_images(datasets, folder, "test")
    folder.config.write_text(recipes.to_toml(RunConfig(dataset=f"folder:{tmp_path / 'gone'}")))
    with pytest.raises(UserError, match="gone"):
        load_images(datasets, folder, "test")

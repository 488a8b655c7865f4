"""Datasets that are loaded once and shared, and read again when their files have changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import load_dataset
from fmnist_tui.util.errors import UserError
from tests.unit.data.support import TinySet


def save_photo(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 9), value, np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, name in enumerate(("bag", "coat")):
        for number in range(8):
            save_photo(tmp_path / "photos" / name / f"{number}.png", 100 * label + number)
    return tmp_path / "photos"


def load(photos: Path, limit: int | None = None) -> Dataset:
    return load_dataset(f"folder:{photos}", data_dir=photos.parent / "data", limit=limit)


def test_a_dataset_whose_files_have_not_changed_is_the_same_object_again(photos: Path) -> None:
    first = load(photos)
    assert load(photos) is first
    assert load(photos, limit=4) is not first
    assert load(photos) is first


@pytest.mark.parametrize("change", ["content", "added", "removed", "renamed", "empty class"])
def test_a_folder_that_has_changed_is_read_again(photos: Path, change: str) -> None:
    first, file = load(photos), photos / "bag" / "3.png"
    if change == "content":
        save_photo(file, 255)
        os.utime(file, ns=(0, 7))
    elif change == "added":
        save_photo(photos / "bag" / "9.png", 9)
    elif change == "removed":
        file.unlink()
    elif change == "renamed":
        file.rename(file.with_name("x.png"))
    else:
        (photos / "hat").mkdir()
    again = load(photos)
    assert again is not first
    if change == "content":
        assert max(split.images.max() for split in (again.train, again.val, again.test)) == 255


def test_an_idx_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    folder = TinySet().write(tmp_path / "mine")

    def load_mine() -> Dataset:
        return load_dataset(f"idx:{folder}", data_dir=tmp_path)

    first = load_mine()
    assert load_mine() is first
    file = next(path for path in folder.iterdir() if "t10k-images" in path.name)
    status = file.stat()
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    # Of the same size and time: only the file is another one.
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.rename(file)
    assert load_mine() is not first


def test_only_the_datasets_used_last_stay_in_memory(photos: Path) -> None:
    first = load(photos)
    for limit in (3, 4):
        load(photos, limit)
    assert load(photos) is not first


def test_a_folder_that_is_gone_is_not_served_from_memory(photos: Path) -> None:
    load(photos)
    photos.rename(photos.with_name("elsewhere"))
    with pytest.raises(UserError, match="no such folder"):
        load(photos)

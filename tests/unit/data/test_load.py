"""Loading datasets by name: splits, classes, limits and errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.config import dataset_catalog
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.idx import published_datasets
from fmnist_tui.data.idx.idx_format import write_idx
from fmnist_tui.data.load import is_present, load_dataset
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.data.sources.source_chain import OFFLINE
from fmnist_tui.util.errors import UserError
from tests.unit.data.support import TinySet


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with tiny garments and digits under their own names."""
    monkeypatch.setenv(OFFLINE, "1")
    folder = tmp_path / "data"
    for name in ("fashion", "mnist"):
        tiny = TinySet(name)
        tiny.write(folder / name)
        monkeypatch.setitem(published_datasets.SETS, name, replace(tiny.idx_set, package=None))
    return folder


def digits(folder: Path, labels: range = range(10), zipped: bool = False) -> Path:
    folder.mkdir()
    ending = ".gz" if zipped else ""
    for name, count in (("train", 30), ("t10k", 10)):
        images = np.full((count, 28, 28), count, np.uint8)
        write_idx(folder / f"{name}-images-idx3-ubyte{ending}", images)
        numbers = np.resize(np.array(labels, np.uint8), count)
        write_idx(folder / f"{name}-labels-idx1-ubyte{ending}", numbers)
    return folder


def counts(dataset: Dataset) -> tuple[int, int, int]:
    return len(dataset.train), len(dataset.val), len(dataset.test)


def test_validation_is_split_off_train_and_nothing_is_lost(data: Path) -> None:
    dataset = load_dataset("fashion", data_dir=data, val_fraction=0.25)
    assert counts(dataset) == (30, 10, 20)
    assert set(dataset.train.indices) | set(dataset.val.indices) == set(range(40))
    np.testing.assert_array_equal(dataset.test.indices, np.arange(20))
    assert dataset.info == dataset_catalog.DATASETS["fashion"]
    assert dataset.source == "data folder"
    assert np.bincount(dataset.val.labels).tolist() == [1] * 10


def test_the_indices_of_a_split_identify_its_images(data: Path) -> None:
    tiny = TinySet("fashion")
    images = tiny.arrays["train-images-idx3-ubyte.gz"]
    dataset = load_dataset("fashion", data_dir=data, val_fraction=0.25, classes=(7, 2), limit=5)
    for split in (dataset.train, dataset.val):
        np.testing.assert_array_equal(split.images[..., 0], images[split.indices])
        np.testing.assert_array_equal(split.indices % 10, np.array([7, 2])[split.labels])


def test_classes_are_numbered_in_the_requested_order(data: Path) -> None:
    dataset = load_dataset("fashion", data_dir=data, classes=(9, 0))
    assert dataset.info.classes == ("Ankle boot", "T-shirt/top")
    for split in (dataset.train, dataset.val, dataset.test):
        assert set(split.labels) <= {0, 1}
    np.testing.assert_array_equal(dataset.test.indices[dataset.test.labels == 0] % 10, [9, 9])


def test_the_validation_split_does_not_depend_on_classes_or_limit(data: Path) -> None:
    full = load_dataset("fashion", data_dir=data, val_fraction=0.5, split_seed=8)
    some = load_dataset(
        "fashion", data_dir=data, val_fraction=0.5, split_seed=8, classes=(1, 2, 3), limit=4
    )
    assert set(some.val.indices) < set(full.val.indices)
    assert set(some.train.indices) < set(full.train.indices)
    assert len(some.train) == 4
    other = load_dataset("fashion", data_dir=data, val_fraction=0.5, split_seed=9)
    assert set(other.val.indices) != set(full.val.indices)


def test_a_validation_share_of_zero_leaves_no_validation(data: Path) -> None:
    assert counts(load_dataset("fashion", data_dir=data, val_fraction=0)) == (40, 0, 20)


def test_both_numbers_the_digits_after_the_garments(data: Path) -> None:
    dataset = load_dataset("both", data_dir=data, val_fraction=0.25)
    assert counts(dataset) == (60, 20, 40)
    assert dataset.info.classes[9:11] == ("Ankle boot", "0")
    for split, garments in ((dataset.train, 40), (dataset.val, 40), (dataset.test, 20)):
        np.testing.assert_array_equal(split.labels >= 10, split.indices >= garments)
        np.testing.assert_array_equal(split.labels % 10, split.indices % 10)


def test_both_reads_its_digits_from_a_folder(data: Path, tmp_path: Path) -> None:
    folder = digits(tmp_path / "digits", zipped=True)
    dataset = load_dataset(f"both:{folder}", data_dir=data, val_fraction=0)
    assert counts(dataset) == (70, 0, 30)
    assert (dataset.train.images[dataset.train.labels >= 10] == 30).all()
    assert str(folder) in dataset.source


def test_invalid_digits_are_reported_before_anything_is_fetched(tmp_path: Path) -> None:
    folder = digits(tmp_path / "letters", range(26))
    with pytest.raises(UserError, match="labels up to 25 where digits are expected"):
        load_dataset(f"both:{folder}", data_dir=tmp_path / "data")


def test_a_folder_of_idx_files_is_a_dataset(tmp_path: Path) -> None:
    folder = digits(tmp_path / "mine", range(4))
    dataset = load_dataset(f"idx:{folder}", data_dir=tmp_path, val_fraction=0.2)
    assert counts(dataset) == (24, 6, 10)
    assert dataset.info.classes == ("0", "1", "2", "3")
    assert dataset.info.title == "mine"
    assert not list(folder.glob("*.bad"))


def test_an_idx_label_beyond_the_classes_is_an_error(tmp_path: Path) -> None:
    folder = digits(tmp_path / "mine")
    labels = np.arange(30, dtype=np.uint8) % 10
    labels[7] = 200
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    message = r"labels-idx1-ubyte: no label is 10, but 1 of 30 are larger, up to 200: number"
    with pytest.raises(UserError, match=message):
        load_dataset(f"idx:{folder}", data_dir=tmp_path)


def test_idx_files_that_do_not_fit_together_are_an_error(tmp_path: Path) -> None:
    folder = digits(tmp_path / "mine")
    name = f"idx:{folder}"
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(29, np.uint8))
    with pytest.raises(UserError, match="29 labels for the 30 images"):
        load_dataset(name, data_dir=tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(30, np.uint8))
    with pytest.raises(UserError, match="only one class"):
        load_dataset(name, data_dir=tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte", np.arange(30, dtype=np.uint8) % 3)
    with pytest.raises(UserError, match="labels from 0 to 9 where 0 to 2 are expected"):
        load_dataset(name, data_dir=tmp_path)
    write_idx(folder / "train-images-idx3-ubyte", np.zeros((30, 32, 32), np.uint8))
    with pytest.raises(UserError, match="30×32×32 numbers where any×28×28"):
        load_dataset(name, data_dir=tmp_path)
    (folder / "train-images-idx3-ubyte").unlink()
    with pytest.raises(UserError, match="train-images-idx3-ubyte: cannot be read: no such file"):
        load_dataset(name, data_dir=tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        load_dataset(f"idx:{tmp_path / 'none'}", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashon", 'did you mean "fashion"'),
        ("folder:", "unknown dataset"),
        ("fashion:x", "unknown dataset"),
        ("\x1b[31m", "unknown dataset"),
        ("", "unknown dataset"),
    ],
)
def test_an_unknown_name_is_an_error_with_suggestions(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(name, data_dir=tmp_path)
    assert "\x1b" not in str(caught.value)
    assert not is_present(name, tmp_path)


@pytest.mark.parametrize("name", sorted(dataset_catalog.DATASETS))
def test_every_name_in_the_catalog_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    steps: list[LoadStep] = []
    try:
        load_dataset(name, data_dir=tmp_path, on_step=steps.append)
    except UserError as error:
        assert "cannot be loaded" in str(error)
        assert '"sketches"' in str(error)
    assert steps


@pytest.mark.parametrize("classes", [(), (1,), (1, 1), (0, 10), (-1, 2)])
def test_invalid_classes_are_an_error(data: Path, classes: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="fashion has 10 classes, 0 to 9"):
        load_dataset("fashion", data_dir=data, classes=classes)


def test_a_limit_above_the_number_of_images_is_an_error(data: Path) -> None:
    with pytest.raises(UserError, match="limit = 31: there are 30 training images"):
        load_dataset("fashion", data_dir=data, limit=31)


@pytest.mark.parametrize("more", [{"input_size": 32}, {"colour": True}])
def test_size_and_colour_are_settings_of_image_folders_only(
    data: Path, more: dict[str, int]
) -> None:
    with pytest.raises(UserError, match="only folder: datasets"):
        load_dataset("fashion", data_dir=data, **more)  # type: ignore[arg-type]


def test_presence_is_known_without_reading(data: Path, tmp_path: Path) -> None:
    assert is_present("fashion", data)
    assert is_present("both", data)
    assert is_present("sketches", tmp_path / "nowhere")
    assert not is_present("kmnist", data)
    folder = digits(tmp_path / "digits")
    assert is_present(f"both:{folder}", data)
    assert is_present(f"idx:{folder}", data)
    assert not is_present(f"folder:{folder}/no", data)
    (data / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert not is_present("both", data)

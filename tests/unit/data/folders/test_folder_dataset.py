"""folder: datasets, tidy and hostile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.data import load
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.data.folders import decoded_cache
from fmnist_tui.data.images.decode import open_image
from fmnist_tui.data.images.prepare import Preparation, prepare
from fmnist_tui.data.load import load_dataset
from fmnist_tui.data.load_progress import CancelError, LoadStep
from fmnist_tui.data.loaded import LoadedDatasets
from fmnist_tui.util.errors import UserError


class Folder:
    """A folder to fill with images, and the dataset in it."""

    def __init__(self, base: Path) -> None:
        self.root, self.data = base / "photos", base / "data"
        self.root.mkdir()

    def image(self, name: str, shade: int = 100, size: tuple[int, int] = (20, 30)) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (shade, shade // 2, 0)).save(path)
        return path

    def classes(self, *names: str, count: int = 12) -> None:
        for number, name in enumerate(names):
            for number_in_class in range(count):
                self.image(f"{name}/{number_in_class:02}.png", number * 50 + number_in_class)

    def load(self, **more: Any) -> Dataset:
        """Load it as a process does that has loaded nothing yet."""
        load._LOADED = LoadedDatasets()
        return load_dataset(f"folder:{self.root}", data_dir=self.data, **more)

    def cache_entries(self) -> list[Path]:
        return [path for path in (self.data / "cache").iterdir() if path.is_dir()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def splits(dataset: Dataset) -> tuple[Split, Split, Split]:
    return dataset.train, dataset.val, dataset.test


def test_classes_are_sorted_and_every_image_occurs_once(folder: Folder) -> None:
    folder.classes("shoe", "Bag", "coat")
    dataset = folder.load()
    assert dataset.info.classes == ("Bag", "coat", "shoe")
    assert sorted(np.concatenate([split.indices for split in splits(dataset)])) == list(range(36))
    for split in splits(dataset):
        np.testing.assert_array_equal(split.labels, split.indices // 12)
        assert split.images.shape == (len(split), 28, 28, 1)
    assert [len(split) for split in splits(dataset)] == [27, 6, 3]
    assert dataset.notes == ()
    assert not dataset.info.crop


def test_the_splits_depend_on_the_seed_alone(folder: Folder) -> None:
    folder.classes("a", "b", count=30)
    first, again, second = folder.load(), folder.load(limit=20), folder.load(split_seed=1)
    np.testing.assert_array_equal(first.val.indices, again.val.indices)
    np.testing.assert_array_equal(first.test.indices, again.test.indices)
    assert set(again.train.indices) < set(first.train.indices)
    assert set(second.test.indices) != set(first.test.indices)


def test_images_are_read_as_they_are_prepared_for_the_model(folder: Folder) -> None:
    folder.classes("a", "b")
    noise = np.random.default_rng(0).integers(0, 256, (50, 31, 3), np.uint8)
    path = folder.root / "a" / "00.png"
    Image.fromarray(noise).save(path)
    for channels, size in ((1, 28), (3, 40)):
        dataset = folder.load(colour=channels == 3, input_size=size)
        [image] = [
            split.images[list(split.indices).index(0)]
            for split in splits(dataset)
            if 0 in split.indices
        ]
        preparation = Preparation.for_dataset(dataset.info, size, channels)
        np.testing.assert_array_equal(image, prepare(open_image(path), preparation).image)


def test_wide_images_are_padded_with_their_border_colour(folder: Folder) -> None:
    folder.classes("a", "b", count=3)
    for path in folder.root.rglob("*.png"):
        Image.new("L", (40, 10), 200).save(path)
    dataset = folder.load(val_fraction=0.3)
    assert (dataset.train.images == 200).all()


def test_folders_of_splits_become_the_splits(folder: Folder) -> None:
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        folder.classes(f"{split}/a", f"{split}/b", count=count)
    dataset = folder.load()
    assert [len(split) for split in splits(dataset)] == [12, 4, 6]
    assert dataset.info.classes == ("a", "b")
    indices = np.concatenate([split.indices for split in splits(dataset)])
    assert sorted(indices) == list(range(22))


def test_a_missing_split_is_split_off_train(folder: Folder) -> None:
    for split in ("train", "test"):
        folder.classes(f"{split}/a", f"{split}/b")
    assert [len(split) for split in splits(folder.load())] == [20, 4, 24]
    only_train = Folder(folder.root.parent / "data")
    only_train.classes("train/a", "train/b")
    assert [len(split) for split in splits(only_train.load())] == [18, 4, 2]


def test_a_test_class_missing_from_train_is_an_error(folder: Folder) -> None:
    folder.classes("train/a", "train/b", "test/a", "test/z")
    with pytest.raises(UserError, match=r"has the class z, which .*train does not have"):
        folder.load()


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid", "test"),
        ("Train", "Val", "TEST"),
        ("training", "validation", "testing"),
        ("TRAIN", "dev", "test"),
        ("train", "eval", "Testing"),
    ],
)
def test_folders_of_splits_are_recognised_by_any_of_their_names(
    folder: Folder, names: tuple[str, ...]
) -> None:
    for name, count in zip(names, (6, 2, 3), strict=True):
        folder.classes(f"{name}/a", f"{name}/b", count=count)
    dataset = folder.load()
    assert dataset.info.classes == ("a", "b")
    assert [len(split) for split in splits(dataset)] == [12, 4, 6]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train", "bus"), r"mixes folders of splits \(train\) and of classes \(bus\)"),
        (("test", "control"), r"mixes folders of splits \(test\) and of classes \(control\)"),
        (("train/a", "train/b", "cat"), r"splits \(train\) and of classes \(cat\); rename or move"),
        (("val/a", "test/a"), r"has folders of splits \(test, val\), but none is train"),
        (("train/a", "Training/a"), r"two folders of the train split \(Training, train\)"),
        (
            ("train", "test"),
            r"splits \(train, test\), but no classes in train; expected SPLIT/CLASS",
        ),
    ],
)
def test_a_mixture_of_splits_and_classes_is_refused_with_the_reason(
    folder: Folder, folders: tuple[str, ...], message: str
) -> None:
    folder.classes(*folders)
    with pytest.raises(UserError, match=message) as caught:
        folder.load()
    assert "\n" not in str(caught.value)


def test_folders_without_files_beside_those_of_splits_are_no_classes(folder: Folder) -> None:
    folder.classes("train/a", "train/b", "test/a", "test/b")
    (folder.root / "empty" / "deep").mkdir(parents=True)
    (folder.root / "__MACOSX").mkdir()
    (folder.root / "__MACOSX" / "._train").write_bytes(b"resource fork")
    assert folder.load().info.classes == ("a", "b")


def test_a_test_folder_without_classes_is_not_used_and_said(folder: Folder) -> None:
    folder.classes("train/a", "train/b", "test")
    dataset = folder.load()
    assert dataset.notes == ("test has no class folders: its images are not used",)
    assert sum(len(split) for split in splits(dataset)) == 24


def split_of_names(folder: Folder, dataset: Dataset) -> dict[str, str]:
    """The split of each image file, by its path in the folder."""
    names = sorted(path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*.png"))
    return {names[index]: split.name for split in splits(dataset) for index in split.indices}


def test_adding_and_removing_images_moves_no_other_to_another_split(folder: Folder) -> None:
    folder.classes("a", "b", count=80)
    before = split_of_names(folder, folder.load())
    assert set(before.values()) == {"train", "val", "test"}
    for number in range(40):
        folder.image(f"a/0{number}-new.png")
        (folder.root / "b" / f"{number + 20}.png").unlink()
    folder.classes("c", count=12)
    after = split_of_names(folder, folder.load())
    assert len(after) == 80 + 40 + 40 + 12
    assert all(after[name] == before[name] for name in after.keys() & before.keys())


def test_renaming_a_class_moves_no_image_to_another_split(folder: Folder) -> None:
    folder.classes("a", "b", count=30)
    before = split_of_names(folder, folder.load())
    (folder.root / "b").rename(folder.root / "c")
    after = split_of_names(folder, folder.load())
    assert {name.replace("b/", "c/"): split for name, split in before.items()} == after


def test_unreadable_files_are_named_skipped_and_counted(folder: Folder) -> None:
    folder.classes("a", "b")
    (folder.root / "a" / "notes.txt").write_text("not an image")
    torn = folder.image("a/torn.png", size=(200, 200))
    torn.write_bytes(torn.read_bytes()[:80])
    (folder.root / "b" / "empty.jpg").write_bytes(b"")
    (folder.root / "b" / "\x1b]0;evil\x07.png").write_bytes(b"x")
    for number in range(7):
        (folder.root / "b" / f"zz{number}.gif").write_bytes(b"GIF89a")
    dataset = folder.load()
    assert sum(len(split) for split in splits(dataset)) == 24
    assert dataset.notes[0] == "11 files skipped: not readable as images"
    assert dataset.notes[-1] == "and 6 more"
    assert len(dataset.notes) == 7
    notes = "\n".join(dataset.notes)
    for name in ("notes.txt", "torn.png", "empty.jpg"):
        assert name in notes
    assert "\x1b" not in notes
    assert folder.load().notes == dataset.notes


def test_a_class_without_readable_images_is_skipped_with_a_note(folder: Folder) -> None:
    folder.classes("a", "c")
    (folder.root / "b").mkdir()
    (folder.root / "b" / "x.png").write_bytes(b"no")
    (folder.root / "d").mkdir()
    dataset = folder.load()
    assert dataset.info.classes == ("a", "c")
    assert sorted(set(dataset.train.labels)) == [0, 1]
    assert dataset.notes[-1] == "class folders without images skipped: b, d"


def test_hidden_files_circular_links_and_pipes_are_skipped(folder: Folder) -> None:
    folder.classes("a", "b")
    (folder.root / "a" / ".DS_Store").write_bytes(b"x")
    (folder.root / ".git").mkdir()
    (folder.root / ".git" / "x.png").write_bytes(b"x")
    (folder.root / "loop").symlink_to(folder.root)
    (folder.root / "a" / "up").symlink_to(folder.root)
    (folder.root / "a" / "self").symlink_to(folder.root / "a")
    (folder.root / "a" / "other").symlink_to(folder.root / "b")
    (folder.root / "b" / "round").symlink_to(folder.root / "b" / "round")
    os.mkfifo(folder.root / "b" / "pipe")
    dataset = folder.load()
    assert dataset.info.classes == ("a", "b")
    assert sum(len(split) for split in splits(dataset)) == 24
    assert "1 file skipped" in dataset.notes[0]


def test_images_may_be_in_subfolders_and_linked(folder: Folder, tmp_path: Path) -> None:
    folder.classes("a", "b")
    folder.image("a/deep/er/x.png")
    (tmp_path / "elsewhere").mkdir()
    folder.image("a/00.png").rename(tmp_path / "elsewhere" / "00.png")
    (folder.root / "a" / "linked").symlink_to(tmp_path / "elsewhere")
    assert sum(len(split) for split in splits(folder.load())) == 25


def test_names_that_are_not_text_are_read_and_shown_safely(folder: Folder) -> None:
    folder.classes("a", "b")
    strange = os.fsdecode(os.fsencode(folder.root) + b"/c\x1b[31m\xff")
    (folder.root / "b").rename(strange)
    classes = folder.load().info.classes
    assert len(classes) == 2
    assert not {"\x1b", "\udcff"} & set("".join(classes))


def make_nothing(folder: Folder) -> None:
    folder.root.rmdir()


def make_file(folder: Folder) -> None:
    folder.root.rmdir()
    folder.root.write_text("x")


def make_empty(folder: Folder) -> None:
    pass


def make_flat(folder: Folder) -> None:
    folder.image("x.png")


def make_one_class(folder: Folder) -> None:
    folder.classes("a")


def make_unreadable(folder: Folder) -> None:
    for name in ("a", "b"):
        (folder.root / name).mkdir()
        (folder.root / name / "x.png").write_text("x")


def make_too_few(folder: Folder) -> None:
    folder.classes("a", "b", count=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_nothing, "no such folder"),
        (make_file, "is not a folder"),
        (make_empty, "no images in class folders"),
        (make_flat, "no images in class folders"),
        (make_one_class, r"images of one class only \(a\)"),
        (make_unreadable, "none of its 2 files is a readable image"),
        (make_too_few, "too few images"),
    ],
)
def test_a_folder_that_is_not_a_dataset_is_an_error(
    folder: Folder, make: Callable[[Folder], None], message: str
) -> None:
    make(folder)
    with pytest.raises(UserError, match=message) as caught:
        folder.load()
    assert str(folder.root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_are_decoded_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.classes("a", "b")
    first = folder.load()
    monkeypatch.setattr(decoded_cache, "read_image", lambda *_: pytest.fail("decoded again"))
    again = folder.load()
    np.testing.assert_array_equal(first.train.images, again.train.images)
    with pytest.raises(pytest.fail.Exception):
        folder.load(colour=True)


def test_a_changed_image_is_decoded_again(folder: Folder) -> None:
    folder.classes("a", "b")
    before = folder.load()
    path = folder.image("a/00.png", 255)
    os.utime(path, ns=(1, 1))
    after = folder.load()
    assert before.train.images.sum() + before.test.images.sum() + before.val.images.sum() != (
        after.train.images.sum() + after.test.images.sum() + after.val.images.sum()
    )
    assert len(folder.cache_entries()) == 2


def test_a_damaged_cache_entry_is_replaced(folder: Folder) -> None:
    folder.classes("a", "b")
    first = folder.load()
    for name, data in (
        ("pixels", b"short"),
        ("pixels", bytes(24 * 28 * 28 + 1)),
        ("facts.json", b"{"),
    ):
        (folder.cache_entries()[0] / name).write_bytes(data)
        np.testing.assert_array_equal(folder.load().train.images, first.train.images)


@pytest.mark.parametrize("name", ["pixels", "facts.json"])
def test_a_cache_entry_with_a_changed_byte_is_replaced(folder: Folder, name: str) -> None:
    folder.classes("a", "b")
    before = folder.load()
    [file] = (folder.data / "cache").glob(f"*/{name}")
    data = file.read_bytes()
    place = len(data) // 2
    file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    after = folder.load()
    assert np.array_equal(before.train.images, after.train.images)
    assert np.array_equal(before.train.labels, after.train.labels)
    assert file.read_bytes() == data


def test_images_beside_the_class_folders_are_not_used_and_said(folder: Folder) -> None:
    folder.classes("a", "b")
    assert folder.load().notes == ()
    for name in ("a.png", "b.jpg", ".hidden.png", "notes.txt"):
        (folder.root / name).write_bytes(b"")
    assert folder.load().notes == ("2 images beside the class folders are not used",)


def test_only_the_most_recently_used_cache_entries_are_kept(folder: Folder) -> None:
    folder.classes("a", "b", count=3)
    for size in range(8, 20):
        folder.load(input_size=size, val_fraction=0.3)
    assert len(folder.cache_entries()) == 6


def test_a_large_split_is_mapped_and_not_copied(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.classes("a", "b", count=30)
    in_memory = folder.load()
    monkeypatch.setattr(decoded_cache, "IN_MEMORY", 2 * 28 * 28)
    monkeypatch.setattr(decoded_cache, "_CHUNK", 7)
    mapped = folder.load()
    for first, second in zip(splits(in_memory), splits(mapped), strict=True):
        np.testing.assert_array_equal(first.images, second.images)
        assert isinstance(second.images.base, np.memmap)
    files = {path.name for path in folder.cache_entries()[0].iterdir()}
    folder.load()
    assert {path.name for path in folder.cache_entries()[0].iterdir()} == files
    mapped.train.images[:] = 0  # writing to the array does not change the cache
    np.testing.assert_array_equal(folder.load().train.images, in_memory.train.images)


def test_an_old_split_that_another_process_removes_is_no_error(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.classes("a", "b", count=30)
    folder.load()
    monkeypatch.setattr(decoded_cache, "IN_MEMORY", 0)
    # Listed, but gone when it is examined.
    (folder.cache_entries()[0] / "split-old").symlink_to("removed")
    assert len(folder.load().train)


def test_what_another_process_has_mapped_is_not_removed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.classes("a", "b", count=4)
    monkeypatch.setattr(decoded_cache, "IN_MEMORY", 0)
    mapped = folder.load()
    [entry] = folder.cache_entries()
    for path in [entry, *entry.iterdir()]:
        os.utime(path, (1, 1))
    files = {path.name for path in entry.iterdir()}
    folder.load(split_seed=3)  # writes other splits beside these
    for size in range(8, 20):
        folder.load(input_size=size)
    assert files <= {path.name for path in entry.iterdir()}
    del mapped
    for path in [entry, *entry.iterdir()]:
        os.utime(path, (1, 1))
    folder.load(input_size=20)
    assert not entry.exists()
    assert len(folder.cache_entries()) == 6


def test_decoding_reports_progress_and_can_be_cancelled(folder: Folder) -> None:
    folder.classes("a", "b")
    cancel = threading.Event()
    steps: list[LoadStep] = []

    def on_step(step: LoadStep) -> None:
        steps.append(step)
        if step.state == "progress":
            cancel.set()

    with pytest.raises(CancelError):
        folder.load(on_step=on_step, cancel=cancel)
    assert (steps[-1].done, steps[-1].total, steps[-1].unit) == (1, 24, "images")
    assert folder.cache_entries() == []
    steps.clear()
    folder.load(on_step=steps.append)
    assert [step.state for step in (steps[0], steps[-1])] == ["trying", "ok"]


def test_a_killed_decoding_leaves_no_usable_cache_entry(folder: Folder) -> None:
    folder.classes("a", "b")
    child = """
import os, signal, sys
from pathlib import Path
from fmnist_tui.data.folders import decoded_cache
from fmnist_tui.data.load import load_dataset
original, calls = decoded_cache.read_image, []
def read_image(*args):
    calls.append(args)
    if len(calls) == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
decoded_cache.read_image = read_image
load_dataset("folder:" + sys.argv[1], data_dir=Path(sys.argv[2]))
"""
    done = subprocess.run([sys.executable, "-c", child, folder.root, folder.data], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name[:5] for path in folder.cache_entries()] == [".new-"]
    dataset = folder.load()
    assert sum(len(split) for split in splits(dataset)) == 24
    assert not [path for path in folder.cache_entries() if path.name.startswith(".")]


def test_a_data_folder_that_cannot_be_written_is_reported(folder: Folder) -> None:
    folder.classes("a", "b")
    folder.data.write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        folder.load()


def test_the_dataset_info_describes_the_folder(folder: Folder) -> None:
    folder.classes("a", "b")
    info = folder.load().info
    assert isinstance(info, DatasetInfo)
    assert info.name == f"folder:{folder.root}"
    assert info.title == "photos"
    assert (info.train, info.test) == (22, 2)

"""The chain of dataset sources: its order, its checks and its final error."""

from __future__ import annotations

import gzip
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fmnist_tui.data.idx.idx_set import ArchiveSource, IdxFile, IdxSet, SystemPackage
from fmnist_tui.data.idx.mnist_family import EMNIST, FASHION, KMNIST, MNIST, QMNIST
from fmnist_tui.data.load_progress import CancelError, LoadStep
from fmnist_tui.data.sources import debian_package
from fmnist_tui.data.sources.source_chain import OFFLINE, has_all_files, load_idx_set
from fmnist_tui.data.unsplit import UnsplitDataset
from fmnist_tui.util.errors import UserError
from tests.unit.data.support import (
    QUICK,
    Response,
    TinySet,
    complete,
    idx_bytes,
    login_page,
    md5,
    serving,
    silent,
)

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
PACKAGE = SystemPackage("dataset-tiny", "usr/share/datasets/tiny")


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OFFLINE, raising=False)


@pytest.fixture
def tiny() -> TinySet:
    return TinySet()


class Chain:
    """`load_idx_set` with temporary data and system folders; `steps` has its reports."""

    def __init__(self, folder: Path) -> None:
        self.data, self.system = folder / "data", folder / "system"
        self.steps: list[LoadStep] = []

    def __call__(self, idx_set: IdxSet, **more: Any) -> UnsplitDataset:
        self.steps.clear()
        return load_idx_set(
            idx_set,
            self.data,
            on_step=self.steps.append,
            system_root=self.system,
            patience=QUICK,
            **more,
        )

    def outcome(self) -> list[tuple[str, str]]:
        return [(step.source, step.state) for step in self.steps if step.state in ("failed", "ok")]

    @property
    def folder(self) -> Path:
        return self.data / "fashion"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def assert_same(arrays: UnsplitDataset, tiny: TinySet) -> None:
    parts: tuple[npt.NDArray[Any], ...] = (
        arrays.train.images,
        arrays.train.labels,
        arrays.test.images,
        arrays.test.labels,
    )
    for found, expected in zip(parts, tiny.arrays.values(), strict=True):
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert arrays.train.images.shape == (40, 28, 28, 1)
    assert arrays.train.labels.dtype == np.int64


def without_package(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    def refuse(*_: object) -> None:
        raise UserError(why)

    monkeypatch.setattr(debian_package, "fetch_package", refuse)


def with_package(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    @contextmanager
    def fetch(
        package: str, on_progress: debian_package.OnProgress, cancel: object
    ) -> Iterator[Path]:
        on_progress(f"apt-get download {package}", 0.5)
        yield root

    monkeypatch.setattr(debian_package, "fetch_package", fetch)


def test_files_in_the_data_folder_need_no_network(chain: Chain, tiny: TinySet) -> None:
    tiny.write(chain.folder)
    before = sorted(chain.folder.iterdir())
    with serving() as server:
        assert_same(chain(tiny.at(server.url)), tiny)
        assert server.requests == []
    assert chain.outcome() == [("data folder", "ok")]
    assert sorted(chain.folder.iterdir()) == before


def test_files_may_be_uncompressed(chain: Chain, tiny: TinySet) -> None:
    tiny.write(chain.folder)
    zipped = chain.folder / IMAGES
    (chain.folder / IMAGES.removesuffix(".gz")).write_bytes(gzip.decompress(zipped.read_bytes()))
    zipped.unlink()
    assert_same(chain(tiny.at()), tiny)


def test_the_system_package_is_the_second_source_and_is_not_copied(
    chain: Chain, tiny: TinySet
) -> None:
    tiny.write(chain.system / PACKAGE.folder)
    with serving() as server:
        arrays = chain(replace(tiny.at(server.url), package=PACKAGE))
        assert server.requests == []
    assert_same(arrays, tiny)
    assert arrays.source == "system package"
    assert chain.outcome() == [("data folder", "failed"), ("system package", "ok")]
    assert not chain.data.exists()


def test_mirrors_are_the_third_source_and_fill_the_data_folder(chain: Chain, tiny: TinySet) -> None:
    with serving(**tiny.responses()) as server:
        arrays = chain(replace(tiny.at(server.url), package=PACKAGE))
    assert_same(arrays, tiny)
    assert arrays.source == "mirrors"
    assert [source for source, _ in chain.outcome()] == ["data folder", "system package", "mirrors"]
    reports = [step for step in chain.steps if step.state == "progress"]
    assert any(step.total == len(tiny.files[IMAGES]) and IMAGES in step.message for step in reports)
    assert_same(chain(tiny.at()), tiny)
    assert chain.outcome() == [("data folder", "ok")]


def test_the_debian_package_is_the_fourth_source_and_fills_the_data_folder(
    chain: Chain, tiny: TinySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write(tmp_path / "root" / PACKAGE.folder)
    with_package(monkeypatch, tmp_path / "root")
    with serving() as server:
        arrays = chain(replace(tiny.at(server.url), package=PACKAGE))
    assert_same(arrays, tiny)
    assert [source for source, _ in chain.outcome()] == [
        "data folder",
        "system package",
        "mirrors",
        "Debian package",
    ]
    assert any(step.unit == "%" and step.done == 50 for step in chain.steps)
    assert {path.name for path in chain.folder.glob("*.gz")} == set(tiny.files)


def test_the_final_error_lists_all_sources_and_what_to_do(
    chain: Chain, tiny: TinySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_package(monkeypatch, "no apt-get here")
    with serving() as server:
        with pytest.raises(UserError) as caught:
            chain(replace(tiny.at(server.url), package=PACKAGE))
        host = server.url.removeprefix("http://").rstrip("/")
    message = str(caught.value)
    for part in (
        "Fashion-MNIST cannot be loaded",
        f"data folder: none of the files is in {chain.folder}",
        f"system package: no folder {chain.system / PACKAGE.folder}",
        f"mirrors: {host}: HTTP 404 Not Found",
        "Debian package: no apt-get here",
        f"copy the files {', '.join(tiny.files)} to the folder {chain.folder}",
        '"sketches"',
    ):
        assert part in message
    assert "\n" not in message


def test_the_advice_in_the_final_error_works(chain: Chain, tiny: TinySet) -> None:
    with pytest.raises(UserError):
        chain(tiny.at(), fetch=False)
    tiny.write(chain.folder)
    assert_same(chain(tiny.at(), fetch=False), tiny)


@pytest.mark.parametrize("reason", ["variable", "argument"])
def test_offline_only_local_files_are_used(
    chain: Chain, tiny: TinySet, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "variable":
        monkeypatch.setenv(OFFLINE, "1")
    with_package(monkeypatch, tiny.write(chain.data / "x"))
    with serving(**tiny.responses()) as server:
        with pytest.raises(UserError) as caught:
            chain(replace(tiny.at(server.url), package=PACKAGE), fetch=reason == "variable")
        assert server.requests == []
    why = f"{OFFLINE} is set" if reason == "variable" else "downloads not requested"
    assert f"mirrors: {why}; Debian package: {why}" in str(caught.value)
    assert not chain.folder.exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "empty"),
        (lambda data: data[:-300], "truncated"),
        (lambda data: gzip.compress(idx_bytes(np.zeros((3, 28, 28), np.uint8))), "40×28×28"),
        (lambda data: gzip.compress(idx_bytes(np.zeros((40, 28, 28), np.uint8))), "SHA-256"),
        (lambda data: b"<html>log in</html>", "not an idx file"),
    ],
)
def test_a_wrong_file_is_reported_renamed_and_replaced(
    chain: Chain, tiny: TinySet, damage: Any, words: str
) -> None:
    tiny.write(chain.folder)
    damaged = damage(tiny.files[IMAGES])
    (chain.folder / IMAGES).write_bytes(damaged)
    with serving(**tiny.responses()) as server:
        assert_same(chain(tiny.at(server.url)), tiny)
        assert server.paths() == [f"/{IMAGES}"]
    assert (chain.folder / f"{IMAGES}.bad").read_bytes() == damaged
    [failed] = [step for step in chain.steps if step.state == "failed"]
    assert words in failed.message
    assert f"renamed to {IMAGES}.bad" in failed.message


def test_labels_out_of_range_are_an_error(chain: Chain) -> None:
    tiny = TinySet(is_known=False)
    tiny.write(chain.folder)
    labels = np.full(40, 10, np.uint8)
    (chain.folder / LABELS).write_bytes(gzip.compress(idx_bytes(labels)))
    with pytest.raises(UserError, match="labels from 10 to 10 where 0 to 9"):
        chain(tiny.at(), fetch=False)


def test_leftovers_of_a_killed_copy_are_removed(chain: Chain, tiny: TinySet) -> None:
    chain.folder.mkdir(parents=True)
    (chain.folder / ".writing-0123456789abcdef.tmp").write_bytes(b"half")
    with serving(**tiny.responses()) as server:
        assert_same(chain(tiny.at(server.url)), tiny)
    assert not list(chain.folder.glob("*.tmp"))


def test_only_what_is_missing_is_fetched(chain: Chain, tiny: TinySet) -> None:
    tiny.write(chain.folder)
    (chain.folder / LABELS).unlink()
    with serving(**tiny.responses()) as server:
        arrays = chain(tiny.at(server.url))
        assert server.paths() == [f"/{LABELS}"]
    assert_same(arrays, tiny)
    assert arrays.source == "data folder + mirrors"


def test_a_mirror_that_is_down_is_not_tried_twice(chain: Chain, tiny: TinySet) -> None:
    hanging: dict[str, Response] = {file.replace(".", "__"): silent for file in tiny.files}
    with serving(**hanging) as dead, serving(**tiny.responses()) as alive:
        assert_same(chain(tiny.at(dead.url, alive.url)), tiny)
        assert len(dead.requests) == 1
        assert len(alive.requests) == 4


def test_a_login_page_on_every_mirror_is_reported(chain: Chain, tiny: TinySet) -> None:
    pages: dict[str, Response] = {file.replace(".", "__"): login_page for file in tiny.files}
    with serving(**pages) as server, pytest.raises(UserError, match="a login page answered"):
        chain(tiny.at(server.url))
    assert not list(chain.folder.glob("*.gz"))


def test_wrong_bytes_of_the_right_size_are_never_used(chain: Chain, tiny: TinySet) -> None:
    responses = tiny.responses()
    responses[IMAGES.replace(".", "__")] = complete(bytes(len(tiny.files[IMAGES])))
    with serving(**responses) as server, pytest.raises(UserError, match="not the expected file"):
        chain(tiny.at(server.url))
    assert not (chain.folder / IMAGES).exists()


def test_cancelling_ends_the_chain(
    chain: Chain, tiny: TinySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_package(monkeypatch, tmp_path)
    cancel = threading.Event()

    def and_cancel(handler: Any) -> None:
        cancel.set()
        silent(handler)

    responses = {**tiny.responses(), IMAGES.replace(".", "__"): and_cancel}
    with serving(**responses) as server, pytest.raises(CancelError):
        chain(replace(tiny.at(server.url), package=PACKAGE), cancel=cancel)
    assert chain.outcome()[-1] == ("mirrors", "failed")


def test_a_data_folder_that_cannot_be_created_is_reported(chain: Chain, tiny: TinySet) -> None:
    chain.data.write_text("a file")
    with serving(**tiny.responses()) as server, pytest.raises(UserError, match="cannot be written"):
        chain(tiny.at(server.url))


def load_in_parallel(idx_set: IdxSet, data: Path) -> None:
    """Four loads in parallel; the locks work between threads, too."""
    threads = [
        threading.Thread(target=load_idx_set, args=(idx_set, data), kwargs={"patience": QUICK})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_parallel_loads_fetch_every_file_once(chain: Chain, tiny: TinySet) -> None:
    with serving(**tiny.responses()) as server:
        idx_set = tiny.at(server.url)
        load_in_parallel(idx_set, chain.data)
        assert sorted(server.paths()) == sorted(f"/{file}" for file in tiny.files)
    assert_same(chain(idx_set), tiny)


def test_a_dataset_without_published_checksums_is_recorded_and_later_changes_are_detected(
    chain: Chain,
) -> None:
    tiny = TinySet(is_known=False)
    with serving(**tiny.responses()) as server:
        arrays = chain(tiny.at(server.url))
    assert arrays.notes == ()
    record = json.loads((chain.folder / "sums.json").read_text())
    assert all(entry["published"] for entry in record.values())
    assert set(record) == set(tiny.files)
    other = np.ones((40, 28, 28), np.uint8)
    (chain.folder / IMAGES).write_bytes(gzip.compress(idx_bytes(other)))
    with pytest.raises(UserError, match="has changed since it was first read"):
        chain(tiny.at(), fetch=False)
    assert (chain.folder / f"{IMAGES}.bad").exists()


def test_unpublished_files_are_used_with_a_note(chain: Chain) -> None:
    tiny = TinySet(is_known=False)
    tiny.write(chain.folder)
    changed = np.ones((40, 28, 28), np.uint8)
    (chain.folder / IMAGES).write_bytes(gzip.compress(idx_bytes(changed)))
    for _ in range(2):
        arrays = chain(tiny.at(), fetch=False)
        assert arrays.notes == (f"{IMAGES} is not the published file: only its format was checked",)
    assert arrays.train.images.min() == 1


def test_the_published_file_is_right_despite_the_record(chain: Chain) -> None:
    tiny = TinySet(is_known=False)
    tiny.write(chain.folder)
    (chain.folder / "sums.json").write_text(
        json.dumps({IMAGES: {"sha256": "0", "published": False}})
    )
    assert chain(tiny.at(), fetch=False).notes == ()


@pytest.mark.parametrize("record", ["", "[]", '{"a": 3}', "\x00"])
def test_a_damaged_checksum_record_is_replaced(chain: Chain, record: str) -> None:
    tiny = TinySet(is_known=False)
    tiny.write(chain.folder)
    (chain.folder / "sums.json").write_text(record)
    assert_same(chain(tiny.at(), fetch=False), tiny)
    assert set(json.loads((chain.folder / "sums.json").read_text())) == set(tiny.files)


def test_qmnist_labels_are_the_first_column_of_its_tables(chain: Chain) -> None:
    tiny = TinySet("qmnist", is_known=False)
    table = np.random.default_rng(0).integers(0, 10**6, (40, 8)).astype(np.int32)
    table[:, 0] = tiny.arrays[LABELS]
    packed = gzip.compress(idx_bytes(table))
    labels = IdxFile("labels-idx2-int.gz", 40, md5(packed), columns=8)
    train_images, _, *test_files = tiny.idx_set.files
    files = (train_images, labels, *test_files)
    responses = {**tiny.responses(), "labels-idx2-int__gz": complete(packed)}
    with serving(**responses) as server:
        arrays = chain(replace(tiny.at(server.url), files=files))
    assert_same(arrays, tiny)


def test_emnist_is_read_from_its_archive_upright_with_labels_from_zero(chain: Chain) -> None:
    numbers = np.random.default_rng(1)
    images = numbers.integers(0, 256, (52, 28, 28), np.uint8)
    letters = (np.arange(52) % 26 + 1).astype(np.uint8)
    files = {
        "train-images.gz": images,
        "train-labels.gz": letters,
        "test-images.gz": images[:26],
        "test-labels.gz": letters[:26],
    }
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as writer:
        writer.writestr("gzip/emnist-other.gz", b"never read")
        for file, array in files.items():
            writer.writestr(f"gzip/{file}", gzip.compress(idx_bytes(array)))
    data = pack.getvalue()
    with serving(all__zip=complete(data)) as server:
        idx_set = IdxSet(
            "emnist",
            tuple(IdxFile(file, len(array)) for file, array in files.items()),
            archive=ArchiveSource(f"{server.url}all.zip", md5(data), "gzip", 10**7),
            first_label=1,
            transposed=True,
        )
        arrays = chain(idx_set)
        again = chain(idx_set)
        assert server.paths() == ["/all.zip"]
    np.testing.assert_array_equal(arrays.train.images[7, :, :, 0], images[7].T)
    np.testing.assert_array_equal(arrays.train.labels, letters.astype(int) - 1)
    assert arrays.notes == again.notes == ()
    assert again.source == "data folder"
    assert {path.name for path in (chain.data / "emnist").glob("*.*")} >= set(files)
    assert not (chain.data / "emnist" / "all.zip").exists()


def test_parallel_loads_fetch_an_archive_once(chain: Chain, tiny: TinySet) -> None:
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as writer:
        for file, packed in tiny.files.items():
            writer.writestr(f"gzip/{file}", packed)
    data = pack.getvalue()
    with serving(all__zip=complete(data)) as server:
        archive = ArchiveSource(f"{server.url}all.zip", md5(data), "gzip", 10**7)
        load_in_parallel(replace(tiny.at(), archive=archive), chain.data)
        assert server.paths() == ["/all.zip"]
    assert_same(chain(tiny.at()), tiny)


def test_an_archive_without_the_file_is_reported(chain: Chain, tiny: TinySet) -> None:
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as writer:
        writer.writestr("gzip/other", b"")
    data = pack.getvalue()
    with serving(all__zip=complete(data)) as server:
        archive = ArchiveSource(f"{server.url}all.zip", md5(data), "gzip", 10**7)
        with pytest.raises(UserError, match="not the expected archive"):
            chain(replace(tiny.at(), archive=archive))


def test_presence_is_checked_by_names_alone(chain: Chain, tiny: TinySet) -> None:
    idx_set = replace(tiny.at(), package=PACKAGE)
    assert not has_all_files(idx_set, chain.data, chain.system)
    for file in tiny.files:
        (chain.system / PACKAGE.folder).mkdir(parents=True, exist_ok=True)
        (chain.system / PACKAGE.folder / file).write_bytes(b"")
    assert has_all_files(idx_set, chain.data, chain.system)
    assert not has_all_files(idx_set, chain.data, chain.data)


@pytest.mark.parametrize("idx_set", [FASHION, MNIST, KMNIST, QMNIST, EMNIST])
def test_every_published_dataset_has_sources_and_checksums(idx_set: IdxSet) -> None:
    assert idx_set.mirrors or idx_set.archive
    for file in idx_set.files:
        assert file.name.endswith(".gz")
        assert len(file.md5) == 32 or idx_set.archive
        assert len(file.sha256) in (0, 64)
    assert [file.is_labels for file in idx_set.files] == [False, True, False, True]
    train_images, train_labels, test_images, test_labels = idx_set.files
    assert train_images.count == train_labels.count
    assert test_images.count == test_labels.count

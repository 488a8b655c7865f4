"""A watched folder: which images are reported, and when."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fmnist_tui.data.images.image_folder import POLL_SECONDS, QUIET_SECONDS, FolderWatch
from fmnist_tui.util.errors import UserError

LATER = QUIET_SECONDS + POLL_SECONDS


def test_images_that_are_there_from_the_start_are_listed_and_not_reported(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    watch = FolderWatch([tmp_path])
    assert [image.name for image in watch.images[tmp_path]] == ["a.JPG", "b.png"]
    assert watch.poll(0) == [] and watch.poll(LATER) == []


def test_an_image_is_reported_once_it_has_stopped_changing(tmp_path: Path) -> None:
    watch = FolderWatch([tmp_path])
    image = tmp_path / "slow.png"
    for number in range(5):
        with image.open("ab") as file:
            file.write(b"part")
        assert watch.poll(number * LATER) == [], "half of it is written"
    assert watch.poll(4 * LATER + QUIET_SECONDS / 2) == []
    assert watch.poll(5 * LATER) == [image]
    assert watch.poll(6 * LATER) == []


def test_a_changed_image_is_reported_again(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"one")
    watch = FolderWatch([tmp_path])
    image.write_bytes(b"another")
    assert watch.poll(0) == [] and watch.poll(LATER) == [image]
    other = tmp_path / "other.txt"
    other.write_bytes(b"another")
    other.rename(image)
    assert watch.poll(2 * LATER) == [] and watch.poll(3 * LATER) == [image]


def test_a_file_that_vanishes_while_the_folder_is_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Scan:
        """Two entries, of which one is gone before its state is asked for."""

        def __enter__(self) -> Iterator[object]:
            def gone() -> None:
                raise FileNotFoundError("gone")

            yield_status = (tmp_path / "stays.png").stat
            return iter(
                [
                    SimpleNamespace(name="goes.png", is_file=lambda: True, stat=gone),
                    SimpleNamespace(name="stays.png", is_file=lambda: True, stat=yield_status),
                ]
            )

        def __exit__(self, *_: object) -> None:
            pass

    watch = FolderWatch([tmp_path])
    stays = tmp_path / "stays.png"
    stays.write_bytes(b"x")
    monkeypatch.setattr(os, "scandir", lambda _: Scan())
    assert watch.poll(0) == [] and watch.poll(LATER) == [stays]


def test_links_to_nothing_and_folders_are_no_images(tmp_path: Path) -> None:
    watch = FolderWatch([tmp_path])
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    assert watch.poll(0) == [] and watch.poll(LATER) == []


@pytest.mark.parametrize("replaced", [False, True])
def test_the_watch_ends_with_one_line_when_a_folder_is_gone(tmp_path: Path, replaced: bool) -> None:
    folder, other = tmp_path / "in", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    watch = FolderWatch([folder])
    if replaced:
        folder.rename(tmp_path / "before")
        other.rename(folder)
    else:
        shutil.rmtree(folder)
    with pytest.raises(UserError, match="the watched folder is gone"):
        next(watch.changes(threading.Event()))


def test_a_folder_that_cannot_be_read_is_not_watched(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        FolderWatch([tmp_path / "missing"])


def test_changes_end_when_asked_to_stop(tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    assert list(FolderWatch([tmp_path]).changes(stopping)) == []

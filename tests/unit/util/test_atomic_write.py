"""Atomic file writes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_tui.util.atomic_write import (
    atomic_write,
    open_atomic,
    remove_stale_temporaries,
    temporary_folder,
)
from tests.unit.support import read_line, send_line, start_python


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_from_bytes_or_from_chunks(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"boots")
    atomic_write(tmp_path / "b", [b"an", bytearray(b"kle "), memoryview(b"boots")])
    atomic_write(tmp_path / "c", (chunk for chunk in (b"", b"x" * 300_000)))
    atomic_write(tmp_path / "d", b"")
    assert (tmp_path / "a").read_bytes() == b"boots"
    assert (tmp_path / "b").read_bytes() == b"ankle boots"
    assert (tmp_path / "c").read_bytes() == b"x" * 300_000
    assert names(tmp_path) == ["a", "b", "c", "d"]


def test_an_existing_file_is_replaced_and_its_readers_keep_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        atomic_write(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_long_file_name_leaves_room_for_the_temporary(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    atomic_write(path, b"x")
    assert path.read_bytes() == b"x"


def test_file_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def chunks() -> Iterator[bytes]:
        yield b"x" * 100_000
        if step == "write":
            full()

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    if step == "replace":
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, chunks())
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["last.pt"]


def test_the_file_is_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path.resolve()
        steps.append("sync folder" if is_folder else "sync file")
        real_sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    atomic_write(tmp_path / "a", b"x")
    assert steps == ["sync file", "rename", "sync folder"]


def test_a_file_written_piece_by_piece_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with open_atomic(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    with pytest.raises(KeyboardInterrupt), open_atomic(path) as file:
        file.write(b"never")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"half and half"
    assert names(tmp_path) == ["a"]


def test_a_missing_folder_raises_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "none" / "a", b"x")


WRITER = """
import sys
from pathlib import Path
from fmnist_tui.util.atomic_write import atomic_write

def chunks():
    yield b"half of it"
    print("half", flush=True)
    sys.stdin.readline()
    yield b", and the rest"

atomic_write(Path(sys.argv[1]), chunks())
print("done", flush=True)
"""


def test_cleaning_up_removes_temporary_files_but_not_files_being_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "kept.pt").write_bytes(b"x")
    with (
        start_python(WRITER, tmp_path / "a") as writer,
        start_python(WRITER, tmp_path / "b") as killed,
    ):
        assert read_line(writer) == read_line(killed) == "half"
        assert remove_stale_temporaries(tmp_path) == []
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(remove_stale_temporaries(tmp_path)) == 1
        send_line(writer, "go on")
        assert read_line(writer) == "done"
    assert (tmp_path / "a").read_bytes() == b"half of it, and the rest"
    assert names(tmp_path) == ["a", "kept.pt"]
    assert remove_stale_temporaries(tmp_path) == []


def test_cleaning_up_a_missing_folder_does_nothing(tmp_path: Path) -> None:
    assert remove_stale_temporaries(tmp_path / "none") == []


def test_a_temporary_file_removed_before_it_was_locked_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    real = fcntl.flock
    swept: list[Path] = []

    def flock(file: int, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    atomic_write(tmp_path / "a", b"x")
    assert len(swept) == 1
    assert names(tmp_path) == ["a"]


def test_a_temporary_folder_that_a_killed_process_left_is_removed_by_the_next_one(
    tmp_path: Path,
) -> None:
    code = """
from pathlib import Path
import sys
from fmnist_tui.util.atomic_write import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(b"of it")
    print("ready", flush=True)
    sys.stdin.readline()
"""
    with start_python(code, tmp_path) as killed:
        assert read_line(killed) == "ready"
        with temporary_folder(tmp_path) as folder:
            assert len(names(tmp_path)) == 2, "the other one is still written"
            assert folder.is_dir()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert len(names(tmp_path)) == 1
    with temporary_folder(tmp_path) as folder:
        assert names(tmp_path) == [folder.name]
    assert names(tmp_path) == []

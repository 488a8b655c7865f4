"""Archiving and deleting runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fmnist_tui.runs.archive import archive, delete, unarchive
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import list_runs, resolve
from fmnist_tui.runs.lock import LOCK_FILE, RunLock
from fmnist_tui.util.errors import UserError
from tests.unit.support import ended, started, write_events


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "runs", "two-conv", "fashion")
    write_events(run.events, [started(), ended()])
    (run.checkpoints / "last-0001.pt").write_bytes(b"x" * 1000)
    RunLock.acquire(run.path).release()
    return run


def test_an_archived_run_leaves_the_list_unchanged(run: RunFolder) -> None:
    runs_dir = run.path.parent
    archived = archive(run)
    assert archived.path == runs_dir / "archive" / run.name
    assert (archived.checkpoints / "last-0001.pt").stat().st_size == 1000
    assert list_runs(runs_dir) == []
    assert [summary.run for summary in list_runs(runs_dir / "archive")] == [archived]


def test_an_archived_run_is_named_with_the_command_that_moves_it_back(run: RunFolder) -> None:
    runs_dir = run.path.parent
    archived = archive(run)
    for text in (run.id, run.name):
        with pytest.raises(UserError, match=f"is archived; .*runs unarchive {run.id}"):
            resolve(runs_dir, text)
    assert unarchive(archived) == run and resolve(runs_dir, run.id) == run
    with pytest.raises(UserError, match="is not archived"):
        unarchive(run)


def test_unarchiving_never_overwrites_and_waits_for_no_training(run: RunFolder) -> None:
    archived = archive(run)
    with RunLock.acquire(archived.path), pytest.raises(UserError, match="in use by process"):
        unarchive(archived)
    shutil.copytree(archived.path, run.path)
    with pytest.raises(UserError, match="there is another run"):
        unarchive(archived)


def test_a_deleted_run_leaves_nothing(run: RunFolder) -> None:
    delete(run)
    assert list(run.path.parent.iterdir()) == []


def test_a_live_run_is_neither_archived_nor_deleted(run: RunFolder) -> None:
    with RunLock.acquire(run.path):
        for put_away in (archive, delete):
            with pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
                put_away(run)
    assert (run.checkpoints / "last-0001.pt").exists()
    assert list(run.path.parent.iterdir()) == [run.path]


def test_archiving_never_overwrites(run: RunFolder) -> None:
    archived = archive(run)
    with pytest.raises(UserError, match="already archived"):
        archive(archived)
    shutil.copytree(archived.path, run.path)
    with pytest.raises(UserError, match=r"already holds a run"):
        archive(run)
    link = RunFolder(run.path.parent / "link")
    link.path.symlink_to(run.path)
    with pytest.raises(UserError, match="is a link"):
        archive(link)
    assert run.events.exists() and archived.events.exists()


def test_an_archive_that_cannot_be_created_is_reported_in_one_line(run: RunFolder) -> None:
    (run.path.parent / "archive").write_text("a file")
    with pytest.raises(UserError, match=r"cannot archive the run .*File exists"):
        archive(run)
    assert run.events.exists()


def test_deleting_follows_no_link_out_of_the_run(run: RunFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (run.checkpoints / "link").symlink_to(outside)
    (run.path / "file").symlink_to(outside / "precious")
    delete(run)
    assert (outside / "precious").read_text() == "x"


def test_deleting_a_linked_run_removes_the_link_only(run: RunFolder, tmp_path: Path) -> None:
    outside = run.path.rename(tmp_path / "outside")
    link = RunFolder(run.path)
    link.path.symlink_to(outside)
    delete(link)
    assert not link.path.is_symlink()
    assert (outside / "events.jsonl").exists()
    assert list(link.path.parent.iterdir()) == []


def test_a_damaged_run_can_be_deleted(run: RunFolder) -> None:
    run.events.unlink()
    (run.path / LOCK_FILE).unlink()
    shutil.rmtree(run.checkpoints)
    delete(run)
    assert not run.path.exists()


def test_a_folder_that_is_not_a_run_is_never_deleted(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("x")
    for path in (home, tmp_path / "none"):
        with pytest.raises(UserError, match="is not a run"):
            delete(RunFolder(path))
    assert (home / "precious").exists()


def test_leftovers_of_an_interrupted_deletion_are_hidden_and_removed_by_the_next(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_dir = run.path.parent
    with monkeypatch.context() as broken:
        real = os.unlink

        def fail(path: object, *, dir_fd: int | None = None) -> None:
            if path == "last-0001.pt":
                raise OSError(5, "Input/output error")
            real(path, dir_fd=dir_fd)  # type: ignore[arg-type]

        broken.setattr(os, "unlink", fail)
        with pytest.raises(UserError, match=r"cannot delete the run .*Input/output error"):
            delete(run)
    assert not run.path.exists() and list_runs(runs_dir) == []
    assert len(list(runs_dir.iterdir())) == 1
    other = RunFolder.create(runs_dir, "fast", "mnist")
    delete(other)
    assert list(runs_dir.iterdir()) == []


def test_folders_without_write_permission_are_deleted_too(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = run.checkpoints / "deep" / "deeper"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    for folder in (deep, deep.parent, run.checkpoints):
        folder.chmod(0o500)
    if os.geteuid() == 0:
        # Root may do everything: imitate another user.
        real = os.unlink

        def unlink(path: object, *, dir_fd: int | None = None) -> None:
            if dir_fd is not None and not os.fstat(dir_fd).st_mode & 0o200:
                raise PermissionError(13, "Permission denied", path)
            real(path, dir_fd=dir_fd)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "unlink", unlink)
    delete(run)
    assert list(run.path.parent.iterdir()) == []


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_run_can_be_deleted_on_a_full_disk(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, has_lock: bool
) -> None:
    if not has_lock:
        (run.path / LOCK_FILE).unlink()
    real = os.open

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    def open_existing(path: Path, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT and not Path(path).exists():
            full()
        return real(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_existing)
    for name in ("write", "pwrite"):
        monkeypatch.setattr(os, name, full)
    delete(run)
    assert list(run.path.parent.iterdir()) == []

"""The names and contents of run folders."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import example, given

from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.util.errors import UserError
from tests.unit.support import PROPERTY, TEXTS, read_line, start_python

WHEN = datetime(2026, 11, 21, 8, 14, 3)


def test_a_new_run_is_named_by_time_recipe_data_and_id(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "deep" / "runs", "two-conv", "fashion", WHEN)
    assert re.fullmatch(r"2026-11-21_081403_two-conv_fashion_[0-9a-f]{4}", run.name)
    assert run.id == run.name[-4:]
    assert run.path.parent == tmp_path / "deep" / "runs"


def test_a_run_knows_its_paths(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "two-conv", "fashion")
    assert run.config == run.path / "config.toml"
    assert run.events == run.path / "events.jsonl"
    assert run.commands == run.path / "commands.jsonl"
    assert run.checkpoints == run.path / "checkpoints"
    assert run.predictions == run.path / "predictions"
    assert sorted(run.path.iterdir()) == [run.checkpoints, run.predictions]


@PROPERTY
@given(TEXTS, TEXTS)
@example("", "")
@example("../../etc", "folder:/home/me/My Boots")
@example("x" * 300, "folder:" + "y" * 300)
@example("Größe_1", "folder:/")
def test_any_recipe_and_dataset_give_a_plain_name(
    tmp_path_factory: pytest.TempPathFactory, recipe: str, dataset: str
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    run = RunFolder.create(folder, recipe, dataset, WHEN)
    assert re.fullmatch(r"2026-11-21_081403_[a-z0-9-]{1,40}_[a-z0-9-]{1,40}_[0-9a-f]{4}", run.name)
    assert run.path.parent == folder
    assert list_run_folders(folder) == [run]


def test_the_name_has_the_last_part_of_a_dataset_folder(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "fast", "folder:/home/me/images of/My Boots", WHEN)
    assert run.name.startswith("2026-11-21_081403_fast_folder-my-boots_")


def test_no_two_runs_share_an_id_even_with_the_archived_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archive" / "2025-01-01_000000_fast_mnist_aaaa").mkdir(parents=True)
    ids = iter(["aaaa", "bbbb", "aaaa", "bbbb", "cccc"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(ids))
    first = RunFolder.create(tmp_path, "fast", "mnist", WHEN)
    second = RunFolder.create(tmp_path, "fast", "mnist", WHEN)
    assert (first.id, second.id) == ("bbbb", "cccc")


def test_ids_become_longer_when_short_ones_are_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda size: "ab" * size)
    assert RunFolder.create(tmp_path, "fast", "mnist").id == "abab"
    assert RunFolder.create(tmp_path, "fast", "mnist").id == "abababab"
    with pytest.raises(UserError, match="no run id is free"):
        RunFolder.create(tmp_path, "fast", "mnist")
    assert len(list_run_folders(tmp_path)) == 2


CREATOR = """
import secrets, sys, time
from pathlib import Path
from fmnist_tui.runs.folder import RunFolder

# Few ids to choose from, and time for the others to draw the same.
def token_hex(size):
    time.sleep(0.002)
    return f"{secrets.randbelow(40):0{2 * size}x}"

secrets.token_hex = token_hex
for _ in range(8):
    print(RunFolder.create(Path(sys.argv[1]), "fast", "mnist").id, flush=True)
"""


def test_processes_that_create_runs_at_once_get_different_ids(tmp_path: Path) -> None:
    creators = [start_python(CREATOR, tmp_path) for _ in range(4)]
    ids = [read_line(creator) for creator in creators for _ in range(8)]
    for creator in creators:
        creator.communicate()
    assert len(set(ids)) == 32 and "" not in ids


def test_a_run_that_cannot_be_created_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot create a run in .*file.*--runs DIR"):
        RunFolder.create(tmp_path / "file", "fast", "mnist")
    real = Path.mkdir

    def full(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if path.name == "predictions":
            raise OSError(28, "No space left on device")
        real(path, mode, parents, exist_ok)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UserError, match="No space left on device"):
        RunFolder.create(tmp_path, "fast", "mnist")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_is_opened_by_its_path_and_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path, "fast", "mnist")
    monkeypatch.chdir(tmp_path)
    assert RunFolder.open(Path(run.name)) == run
    assert RunFolder.open(run.path / "checkpoints" / "..") == run


def test_a_renamed_run_is_still_one_and_its_name_is_its_id(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "fast", "mnist")
    run.events.write_text("")
    moved = RunFolder.open(run.path.rename(tmp_path / "my best"))
    assert (moved.id, moved.name) == ("my best", "my best")


@pytest.mark.parametrize("name", ["none", "empty", "file", "\x00", "n" * 5000, "run\x1b[2J"])
def test_a_folder_that_is_not_a_run_is_not_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="no run in") as caught:
        RunFolder.open(tmp_path / name)
    assert str(caught.value).isprintable()


def test_other_folders_and_files_are_not_listed(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "fast", "mnist")
    (tmp_path / "archive").mkdir()
    (tmp_path / ".deleting-0000" / "checkpoints").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "2026-11-21_081403_fast_mnist_0000").write_text("a file")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert list_run_folders(tmp_path) == [run]
    assert list_run_folders(tmp_path / "none") == []
    with pytest.raises(UserError, match="cannot read the runs in"):
        list_run_folders(tmp_path / "notes.txt")


def test_the_size_of_a_run_counts_its_files_and_follows_no_link(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "fast", "mnist")
    run.events.write_bytes(b"x" * 1000)
    (run.checkpoints / "last.pt").write_bytes(b"x" * 500)
    other = tmp_path / "other"
    other.mkdir()
    (other / "big").write_bytes(b"x" * 100_000)
    (run.checkpoints / "link").symlink_to(other)
    (run.checkpoints / "file").symlink_to(other / "big")
    assert 1500 <= run.size() < 2000

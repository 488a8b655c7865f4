"""Pasted and dropped files, typed paths, and how a path may go on."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as some

from fmnist_tui.tui.screens.predict import inputs, results
from fmnist_tui.tui.screens.predict.dropped_paths import is_drop, paths
from fmnist_tui.util.errors import UserError

NAMES = some.lists(
    some.text(some.characters(exclude_characters="/\n\r\0", exclude_categories=["Cs"]), min_size=1)
    .map(lambda name: f"/p/{name}")
    .filter(lambda path: path == path.strip()),
    min_size=1,
    max_size=4,
    unique=True,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'/a b.png' ", ["/a b.png"]),
        ('"/a b.png"', ["/a b.png"]),
        ("/a\\ b.png ", ["/a b.png"]),
        ("file:///a%20b.png\n", ["/a b.png"]),
        ("file://localhost/a.png", ["/a.png"]),
        ("file://elsewhere/a.png", ["file://elsewhere/a.png"]),
        ("file:///100%25%23.png\r\nfile:///b.png\r\n", ["/100%#.png", "/b.png"]),
        ("'/a b.png' '/c d.png'", ["/a b.png", "/c d.png"]),
        ("/a.png /c.png\n", ["/a.png", "/c.png"]),
        ("/my pictures/a b.png", ["/my pictures/a b.png"]),
        ("/my pictures/a.png ~/b.png", ["/my pictures/a.png", "~/b.png"]),
        ("/o'brien.png", ["/o'brien.png"]),
        ("'/it'\\''s.png'", ["/it's.png"]),
        ("/a.png\n/a.png\n/b c.png\n", ["/a.png", "/b c.png"]),
        ("relative/a.png", ["relative/a.png"]),
        ("file://[bad/a.png", ["file://[bad/a.png"]),
        (" \n ", []),
    ],
)
def test_a_paste_is_read_as_terminals_write_it(text: str, expected: list[str]) -> None:
    assert paths(text) == expected


@for_all(NAMES)
def test_quoted_names_come_back_whatever_is_in_them(names: list[str]) -> None:
    assert paths(" ".join("'" + name.replace("'", "'\\''") + "'" for name in names)) == names


@for_all(NAMES)
def test_urls_come_back_whatever_is_in_them(names: list[str]) -> None:
    assert paths("\n".join(f"file://{quote(name)}" for name in names)) == names


@for_all(NAMES)
def test_shell_quoted_names_come_back_whatever_is_in_them(names: list[str]) -> None:
    assert paths(shlex.join(names)) == names


@for_all(some.text())
def test_nothing_that_is_pasted_is_an_error(text: str) -> None:
    assert "" not in paths(text)


@pytest.mark.parametrize("text", ["/a", "~/a", "./a", "../a", "'/a b'", '"~/a"', " file:///a"])
def test_whole_paths_are_drops(text: str) -> None:
    assert is_drop(text)


@pytest.mark.parametrize("text", ["a.png", "tures/a.png", "", "'quoted'", "http://x/a.png"])
def test_pieces_of_paths_are_none(text: str) -> None:
    assert not is_drop(text)


def made(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


def test_a_folder_stands_for_its_pictures_by_name(tmp_path: Path) -> None:
    made(tmp_path, "b.PNG", "a.jpeg", "notes.txt", ".hidden.png")
    found = inputs.gather(str(tmp_path))
    assert [file.name for file in found.files] == ["a.jpeg", "b.PNG"]
    assert found.folder == tmp_path


def test_a_typed_path_with_blanks_and_quotes_is_one_file(tmp_path: Path) -> None:
    (file,) = made(tmp_path, "it's /odd'".replace("/", "_") + ".png")
    assert inputs.gather(f" {file} ").files == (file,)


def test_files_and_folders_may_be_given_together(tmp_path: Path) -> None:
    one = made(tmp_path / "one", "a.png")
    two = made(tmp_path / "two", "b.png", "c.gif")
    found = inputs.gather(f"'{tmp_path / 'two'}' {one[0]}")
    assert set(found.files) == {*one, *two}
    assert found.folder is None


def test_a_missing_file_is_given_all_the_same(tmp_path: Path) -> None:
    assert inputs.gather(str(tmp_path / "gone.png")).files == (tmp_path / "gone.png",)


def test_a_folder_without_pictures_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no picture in it") as caught:
        inputs.gather(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_of_a_large_folder_the_first_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MOST", 2)
    made(tmp_path, "a.png", "b.png", "c.png")
    found = inputs.gather(str(tmp_path))
    assert len(found.files) == 2
    assert found.note == "the first 2 of 3 pictures"


def test_nothing_but_blanks_is_no_path() -> None:
    with pytest.raises(UserError, match="no path"):
        inputs.gather(" \n")
    with pytest.raises(UserError):
        inputs.gather("''")


def test_a_name_with_a_zero_byte_is_no_crash() -> None:
    assert len(inputs.gather("/a\0b.png").files) == 1


def test_completion_offers_folders_and_pictures_only(tmp_path: Path) -> None:
    made(tmp_path, "boat.txt", "boot.png", ".boots.png")
    (tmp_path / "boxes").mkdir()
    assert inputs.completed(f"{tmp_path}/bo") == f"{tmp_path}/boot.png"
    assert inputs.completed(f"{tmp_path}/box") == f"{tmp_path}/boxes/"
    assert inputs.completed(f"{tmp_path}/.b") == f"{tmp_path}/.boots.png"
    assert inputs.completed(f"{tmp_path}/boot.png") is None
    assert inputs.completed(f"{tmp_path}/nothing") is None
    assert inputs.completed(f"{tmp_path}/missing/a") is None
    assert inputs.completed("") is None


def test_completion_is_relative_where_the_path_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "shoe.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert inputs.completed("sh") == "shoe.png"
    assert inputs.completed("~/s") == "~/shoe.png"


def test_a_name_that_would_steer_the_terminal_is_not_offered(tmp_path: Path) -> None:
    made(tmp_path, "a\x1b]0;x\x07.png")
    assert inputs.completed(f"{tmp_path}/a") is None


def test_of_pictures_that_keep_coming_the_newest_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "MOST", 3)
    enquiry = results.PredictionQueue()
    enquiry.begin([Path("1"), Path("2")])
    for name in "3456":
        enquiry.add([Path(name)])
    assert list(enquiry.answers) == [Path("4"), Path("5"), Path("6")]
    assert enquiry.next() == [Path("4"), Path("5"), Path("6")]

"""Typed paths, pasted and dropped files, path completion, and the queue of files."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.tui.screens.predict import inputs, results
from fmnist_tui.tui.screens.predict.inputs import is_drop, parse_paths
from fmnist_tui.util.errors import UserError

NAMES = st.lists(
    st.text(st.characters(exclude_characters="/\n\r\0", exclude_categories=["Cs"]), min_size=1)
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
        ("/my images/a b.png", ["/my images/a b.png"]),
        ("/my images/a.png ~/b.png", ["/my images/a.png", "~/b.png"]),
        ("/o'brien.png", ["/o'brien.png"]),
        ("'/it'\\''s.png'", ["/it's.png"]),
        ("/a.png\n/a.png\n/b c.png\n", ["/a.png", "/b c.png"]),
        ("relative/a.png", ["relative/a.png"]),
        ("file://[bad/a.png", ["file://[bad/a.png"]),
        (" \n ", []),
    ],
)
def test_pastes_of_all_terminals_are_parsed(text: str, expected: list[str]) -> None:
    assert parse_paths(text) == expected


@given(NAMES)
def test_quoted_names_with_any_characters_are_parsed(names: list[str]) -> None:
    assert parse_paths(" ".join("'" + name.replace("'", "'\\''") + "'" for name in names)) == names


@given(NAMES)
def test_urls_with_any_characters_are_parsed(names: list[str]) -> None:
    assert parse_paths("\n".join(f"file://{quote(name)}" for name in names)) == names


@given(NAMES)
def test_shell_quoted_names_with_any_characters_are_parsed(names: list[str]) -> None:
    assert parse_paths(shlex.join(names)) == names


@given(st.text())
def test_no_pasted_text_is_an_error(text: str) -> None:
    assert "" not in parse_paths(text)


@pytest.mark.parametrize("text", ["/a", "~/a", "./a", "../a", "'/a b'", '"~/a"', " file:///a"])
def test_complete_paths_are_drops(text: str) -> None:
    assert is_drop(text)


@pytest.mark.parametrize("text", ["a.png", "tures/a.png", "", "'quoted'", "http://x/a.png"])
def test_parts_of_paths_are_not_drops(text: str) -> None:
    assert not is_drop(text)


def create_files(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


def test_a_folder_is_replaced_by_its_images_sorted_by_name(tmp_path: Path) -> None:
    create_files(tmp_path, "b.PNG", "a.jpeg", "notes.txt", ".hidden.png")
    images = inputs.parse_input(str(tmp_path))
    assert [file.name for file in images.files] == ["a.jpeg", "b.PNG"]
    assert images.folder == tmp_path


def test_a_typed_path_with_blanks_and_quotes_is_one_file(tmp_path: Path) -> None:
    (file,) = create_files(tmp_path, "it's /odd'".replace("/", "_") + ".png")
    assert inputs.parse_input(f" {file} ").files == (file,)


def test_files_and_folders_can_be_combined(tmp_path: Path) -> None:
    one = create_files(tmp_path / "one", "a.png")
    two = create_files(tmp_path / "two", "b.png", "c.gif")
    images = inputs.parse_input(f"'{tmp_path / 'two'}' {one[0]}")
    assert set(images.files) == {*one, *two}
    assert images.folder is None


def test_a_missing_file_stays_in_the_list(tmp_path: Path) -> None:
    assert inputs.parse_input(str(tmp_path / "gone.png")).files == (tmp_path / "gone.png",)


def test_a_folder_without_images_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images in") as caught:
        inputs.parse_input(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_of_a_large_folder_the_first_files_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_FILES", 2)
    create_files(tmp_path, "a.png", "b.png", "c.png")
    images = inputs.parse_input(str(tmp_path))
    assert len(images.files) == 2
    assert images.note == "the first 2 of 3 images"


def test_blank_text_is_an_error() -> None:
    with pytest.raises(UserError, match="no path"):
        inputs.parse_input(" \n")
    with pytest.raises(UserError):
        inputs.parse_input("''")


def test_a_name_with_a_zero_byte_does_not_crash() -> None:
    assert len(inputs.parse_input("/a\0b.png").files) == 1


def test_completion_offers_only_folders_and_images(tmp_path: Path) -> None:
    create_files(tmp_path, "boat.txt", "boot.png", ".boots.png")
    (tmp_path / "boxes").mkdir()
    assert inputs.complete_path(f"{tmp_path}/bo") == f"{tmp_path}/boot.png"
    assert inputs.complete_path(f"{tmp_path}/box") == f"{tmp_path}/boxes/"
    assert inputs.complete_path(f"{tmp_path}/.b") == f"{tmp_path}/.boots.png"
    assert inputs.complete_path(f"{tmp_path}/boot.png") is None
    assert inputs.complete_path(f"{tmp_path}/nothing") is None
    assert inputs.complete_path(f"{tmp_path}/missing/a") is None
    assert inputs.complete_path("") is None


def test_completion_of_a_relative_path_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_files(tmp_path, "shoe.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert inputs.complete_path("sh") == "shoe.png"
    assert inputs.complete_path("~/s") == "~/shoe.png"


def test_completion_skips_names_with_control_characters(tmp_path: Path) -> None:
    create_files(tmp_path, "a\x1b]0;x\x07.png")
    assert inputs.complete_path(f"{tmp_path}/a") is None


def test_the_queue_keeps_the_newest_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "MAX_FILES", 3)
    queue = results.PredictionQueue()
    queue.reset([Path("1"), Path("2")])
    for name in "3456":
        queue.add([Path(name)])
    assert list(queue.results) == [Path("4"), Path("5"), Path("6")]
    assert queue.next_batch() == [Path("4"), Path("5"), Path("6")]

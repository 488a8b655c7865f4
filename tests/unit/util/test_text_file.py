"""Text files that a user names: what is not one ends in a reason, and never in waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.config.plans import Plan
from fmnist_tui.tui.state.settings import Settings
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text_file import SIZE_LIMIT, parse_toml, read_text, read_toml


@pytest.fixture(params=["pipe", "device", "folder", "large file"])
def unreadable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "large file":
            with path.open("w") as file:
                file.truncate(100 * SIZE_LIMIT)
    return path


REASON = "it is (a pipe or a device, not a regular file|a folder, not|larger than 1 MB)"


def test_what_is_no_text_file_is_refused_at_once(unreadable: Path) -> None:
    with pytest.raises(ValueError, match=REASON):
        read_text(unreadable)


@pytest.mark.parametrize("words", [("train", "--config"), ("lrfind", "--config"), ("sweep",)])
def test_commands_say_in_one_line_why_they_cannot_read_a_file(
    unreadable: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*words, str(unreadable)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fmnist-tui: {unreadable}: ") and "it is " in line


def test_the_dashboard_warns_of_changed_keys_that_it_cannot_read(unreadable: Path) -> None:
    [warning] = Settings.load(unreadable.parent).warnings
    assert warning.startswith(f"{unreadable}: not read: it is ")


def test_a_plan_that_is_no_file_is_refused(unreadable: Path) -> None:
    with pytest.raises(UserError, match=REASON):
        Plan.from_file(unreadable)


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes('\ufeffabout = "Größe"'.encode())
    assert read_toml(path) == {"about": "Größe"}


def test_bytes_that_are_not_utf8_do_not_make_a_file_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b'dataset = "folder:/caf\xe9"')
    assert os.fsencode(read_toml(path)["dataset"]) == b"folder:/caf\xe9"


def test_tables_nested_too_deeply_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_toml(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" + "a." * 100_000 + "a]",
        "a." * 200_000 + "a = 1",
        '{"a b" . "#"' + ".c" * 99,
    ],
    ids=["header", "key", "quoted"],
)
def test_a_key_of_very_many_parts_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_toml(text)


def test_a_key_of_some_parts_is_read() -> None:
    assert parse_toml("a.b.'c d'.e = 1.5")["a"]["b"]["c d"] == {"e": 1.5}
    assert parse_toml(f"# {'word. ' * 40}\na = '{'.' * 300}'")["a"] == "." * 300

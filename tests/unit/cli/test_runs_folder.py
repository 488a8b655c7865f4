"""A runs folder that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.cli import main


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "list"),
        ("runs", "list", "--json"),
        ("runs", "show", "last"),
        ("runs", "compare", "a", "b"),
        ("train", "--resume", "last"),
        ("train", "--fork", "last"),
        ("attach",),
        ("errors", "last"),
        ("report", "last"),
        ("sweep", "list"),
        ("sweep", "show", "name"),
    ],
)
def test_a_command_that_reads_runs_says_that_the_folder_does_not_exist(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rnus"
    assert main.run([*words, "--runs", str(folder)]) == 1
    assert capsys.readouterr() == ("", f"fmnist-tui: --runs {folder}: there is no such folder\n")
    assert not folder.exists()


def test_a_default_folder_that_is_not_made_yet_has_no_runs_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs"
    monkeypatch.setenv("FMNIST_TUI_RUNS", str(folder))
    assert main.run(["runs", "list"]) == 0
    assert capsys.readouterr().err.startswith(f"there are no runs in {folder} yet; ")

"""`runs list` on terminals of any width."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.cli.support import console
from fmnist_tui.protocol.events import Event
from tests.unit.support import ended, epoch_ended, evaluated, started, write_events

NAMES = (
    "2026-11-21_081403_two-conv-with-a-long-name_folder-photos-of-boots_7f3a",
    "2026-11-21_081404_mlp_fashion_0123abcd",
    "renamed by hand, with a name that is a long one",
)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).mkdir()
        start = dataclasses.replace(
            started(), run=name, recipe="two-conv-with-a-long-name", dataset="folder:/data/boots"
        )
        events: list[Event] = [start, epoch_ended(1), evaluated(0.9), ended()]
        write_events(tmp_path / name / "events.jsonl", events)
    return tmp_path


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 200])
def test_ids_are_whole_on_a_terminal_of_any_width(
    width: int, runs_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console.console(), "width", width)
    assert main.run(["runs", "list", f"--runs={runs_dir}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(NAMES)
    for run_id in ("7f3a", "0123abcd", NAMES[2]):
        assert any(line.startswith(f"{run_id} ") for line in lines)
    if width >= 60:
        assert max(map(len, lines)) <= width


def test_names_are_shortened_before_columns_are_left_out(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs_dir / NAMES[2] / "events.jsonl").unlink()
    monkeypatch.setattr(console.console(), "width", 80)
    assert main.run(["runs", "list", f"--runs={runs_dir}"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "state", "name", "dataset", "epochs", "val", "test", "time"]
    assert all("90.00 %  90.00 %  " in line and len(line) <= 80 for line in lines)


def test_runs_show_says_how_many_lines_of_a_record_cannot_be_read(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (runs_dir / NAMES[0] / "events.jsonl").open("ab") as file:
        file.write(b"\x00\xff\n{}\n")
    assert main.run(["runs", "show", NAMES[0], f"--runs={runs_dir}"]) == 0
    said = "warning: 2 lines of events.jsonl cannot be read and are left out"
    assert capsys.readouterr().out.splitlines()[-1] == said


def test_runs_compare_says_whether_a_difference_is_more_than_chance(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES[:2]:
        (runs_dir / name / "config.toml").write_text("[run]\n")
    assert main.run(["runs", "compare", "7f3a", "0123abcd", f"--runs={runs_dir}"]) == 0
    *_, verdict, method = capsys.readouterr().out.splitlines()
    assert verdict == "0123abcd − 7f3a: +0.00 points on test, within the error"
    assert method.startswith("  binomial error of the difference")

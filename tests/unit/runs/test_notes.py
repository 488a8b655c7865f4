"""Names, tags and notes of runs: rules, the file, the commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.runs.archive import archive, unarchive
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import resolve, summarise_run
from fmnist_tui.runs.notes import NO_NOTES, NOTES_FILE, RunNotes, change_notes, read_notes
from fmnist_tui.util.errors import UserError
from tests.unit.support import ended, started, write_events


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "runs", "two-conv", "fashion")
    write_events(run.events, [started(), ended()])
    return run


def test_the_commands_describe_a_run_and_lists_show_it(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: str) -> str:
        assert main.run(["runs", *words, f"--runs={run.path.parent}"]) == 0
        out, err = capsys.readouterr()
        return out + err

    before = run.events.read_bytes()
    assert 'is called "First try"' in call("rename", run.id, " First try ")
    assert "#good #base.1" in call("tag", "first try", "good,#base.1", "Good")
    assert "#base.1" in call("tag", run.id, "GOOD", "--remove")
    call("note", run.id, "slow disk")
    assert "First try" in call("list") and "#base.1" in call("list")
    for document in (
        json.loads(call("list", "--json"))[0],
        json.loads(call("show", "last", "--json")),
    ):
        assert (document["name"], document["tags"], document["note"]) == (
            "First try",
            ["base.1"],
            "slow disk",
        )
        assert document["recipe"] == "two-conv"
    assert f'{run.name} "First try": finished' in (text := call("show", "try"))
    assert "slow disk" in text
    assert run.events.read_bytes() == before
    for words in (
        ("rename", run.id, ""),
        ("note", run.id, ""),
        ("tag", run.id, "base.1", "--remove"),
    ):
        call(*words)
    assert not (run.path / NOTES_FILE).exists()


def test_notes_move_into_the_archive_and_back(run: RunFolder) -> None:
    notes = change_notes(run, lambda notes: notes.renamed("kept").with_tags(["a"]))
    assert read_notes(archived := archive(run)) == notes
    assert summarise_run(unarchive(archived)).title == "kept"
    assert resolve(run.path.parent, "KEPT") == run


@pytest.mark.parametrize(
    "change",
    [
        lambda notes: notes.renamed("a\x1b[2Jb"),
        lambda notes: notes.renamed("a\nb"),
        lambda notes: notes.renamed("x" * 41),
        lambda notes: notes.renamed("../../etc"),
        lambda notes: notes.renamed("Last"),
        lambda notes: notes.with_note("right\u202eleft"),
        lambda notes: notes.with_note("\udcff"),
        lambda notes: notes.with_note("x" * 501),
        lambda notes: notes.with_tags(["two words"]),
        lambda notes: notes.with_tags(["x" * 25]),
        lambda notes: notes.with_tags(["[red]"]),
        lambda notes: notes.with_tags(map(str, range(11))),
    ],
)
def test_text_that_cannot_be_shown_or_found_is_refused_in_a_line(run: RunFolder, change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError) as refused:
        change_notes(run, change)
    assert "\n" not in str(refused.value) and str(refused.value).isprintable()
    assert not (run.path / NOTES_FILE).exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"name": 1}',
        b'{"tags": "a b"}',
        b'{"tags": {"a": 1}}',
        b'{"name": "\\u001b[2J"}',
        b'{"note": "' + b"x" * (1 << 20) + b'"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=range(9),
)
def test_a_damaged_file_is_one_line_and_is_never_overwritten(run: RunFolder, data: bytes) -> None:
    (run.path / NOTES_FILE).write_bytes(data)
    notes = read_notes(run)
    assert (notes.name, notes.tags, notes.note) == ("", (), "")
    assert notes.problem.startswith("notes.json cannot be used: ") and len(notes.problem) < 120
    assert notes.problem.isprintable()
    with pytest.raises(UserError, match="mend or delete it"):
        change_notes(run, lambda notes: notes.renamed("new"))
    assert (run.path / NOTES_FILE).read_bytes() == data


def test_a_pipe_or_link_instead_of_the_file_does_no_harm(run: RunFolder, tmp_path: Path) -> None:
    os.mkfifo(run.path / NOTES_FILE)
    assert "a pipe or a device" in read_notes(run).problem
    (run.path / NOTES_FILE).unlink()
    target = tmp_path / "other.json"
    target.write_text('{"name": "linked"}')
    (run.path / NOTES_FILE).symlink_to(target)
    change_notes(run, lambda notes: notes.renamed("own"))
    assert read_notes(run).name == "own"
    assert target.read_text() == '{"name": "linked"}'


def test_a_change_keeps_what_another_process_has_written_meanwhile(run: RunFolder) -> None:
    listed = summarise_run(run).notes
    change_notes(run, lambda notes: notes.with_tags(["theirs"]))
    changed = change_notes(run, lambda notes: notes.renamed("ours"))
    assert listed == NO_NOTES
    assert changed == read_notes(run) == RunNotes("ours", ("theirs",))


def test_notes_of_a_run_that_is_gone_are_refused_and_make_nothing(run: RunFolder) -> None:
    archive(run)
    with pytest.raises(UserError, match="is gone"):
        change_notes(run, lambda notes: notes.renamed("late"))
    assert not run.path.exists()

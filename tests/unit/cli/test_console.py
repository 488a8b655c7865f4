"""What commands print: names are shown as they are, and control no terminal."""

from __future__ import annotations

import io
import os
import sys
import tomllib
from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.cli.support import console, progress
from fmnist_tui.cli.support.run_summary import create_confusion_table
from fmnist_tui.cli.support.training_view import BarView
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.protocol.events import Event
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.standard_streams import _ResultFile
from tests.unit.support import ended, epoch_ended, evaluated, note, saved, started, write_events

# What a terminal, Rich's markup and Rich's emoji codes would act on
HOSTILE = "[x] [/x] [red]a:smile:\x1b]0;t\x07\x9b31m\u202e"
SHOWN = "[x] [/x] [red]a:smile:␛]0;t␇�31m�"


def make_run(path: Path) -> RunFolder:
    path.mkdir(parents=True)
    events: list[Event] = [started(), epoch_ended(1), saved(100), evaluated(0.9), note(HOSTILE)]
    write_events(path / "events.jsonl", [*events, ended(message=HOSTILE)])
    return RunFolder(path)


@pytest.mark.parametrize("words", [("runs", "show"), ("runs", "archive"), ("errors",)])
def test_a_name_controls_no_terminal_and_is_no_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    folder = make_run(tmp_path / HOSTILE.replace("/", "∕"))
    main.run([*words, str(folder.path), "--runs", str(tmp_path)])
    printed = "".join(capsys.readouterr())
    assert SHOWN.replace("/", "∕") in printed
    assert not set("\x1b\x07\x9b\u202e") & set(printed)


def test_names_in_tables_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table((HOSTILE,), [(HOSTILE,)])
    console.console().print(create_confusion_table([[1, 0], [0, 1]], ("[/x]", ":+1:"), "[red]val"))
    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 2
    assert "[/x]" in printed and ":+1:" in printed and "[red]val" in printed
    assert "\x1b]" not in printed


class LiveStream(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bars_of_a_training_show_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveStream()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "stderr", live)
    monkeypatch.setattr(progress, "console", console.console.__wrapped__)
    with BarView() as view:
        view.on_load_step(LoadStep(HOSTILE, HOSTILE, "progress", HOSTILE, 1, 2))
        view._bars.refresh()
        bars = live.getvalue()
        view.on_load_step(LoadStep("photos", HOSTILE, "failed"))
    printed = live.getvalue()[len(bars) :]
    assert SHOWN in bars and SHOWN in printed
    assert not any(code in bars + printed for code in ("\x1b]", "\x07", "\x9b", "\u202e"))


def test_results_that_nobody_reads_end_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with io.TextIOWrapper(io.BufferedWriter(_ResultFile(writing, "w"))) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with console.results_of_a_run():
            console.line("a result")
        with console.results_of_a_run():
            console.print_table(["a"], [["b"]])
    console.console.cache_clear()  # it still holds the table
    err = capsys.readouterr().err
    assert err == "the reader of the results has left; `fmnist-tui runs show last` shows them\n"


def test_a_recipe_is_shown_as_the_same_recipe_whatever_its_words_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    about = r"two lines\n[run]\nepochs = 99\u2028\u001b[2J"
    (tmp_path / "two.toml").write_text(f'about = "{about}"\n[run]\nepochs = 3\n')
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(tmp_path))
    assert main.run(["recipes", "show", "two"]) == 0
    shown = capsys.readouterr().out
    assert tomllib.loads(shown)["run"]["epochs"] == 3
    assert "\x1b" not in shown and "\u2028" not in shown


def test_the_confusion_table_uses_the_terminal_for_whole_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = [[0] * 10 for _ in range(10)]
    monkeypatch.setenv("COLUMNS", "120")
    wide = create_confusion_table(counts, GARMENTS, "test")
    assert [str(column.header) for column in wide.columns[1:4]] == [
        "T-shirt",
        "Trouser",
        "Pullover",
    ]
    monkeypatch.setenv("COLUMNS", "80")
    narrow = create_confusion_table(counts, GARMENTS, "test")
    assert [str(column.header) for column in narrow.columns[1:4]] == ["T-sh…", "Trou…", "Pull…"]

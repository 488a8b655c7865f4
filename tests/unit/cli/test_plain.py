"""`--plain`: lines of text and a prompt for words."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from fmnist_tui.cli import main
from fmnist_tui.cli.plain import follower
from fmnist_tui.cli.plain.follower import RunFollower
from fmnist_tui.cli.plain.prompt import PlainPrompt
from fmnist_tui.cli.support import console
from fmnist_tui.protocol.events import EVENTS
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from tests.tui.support import events, make_run


@pytest.fixture(autouse=True)
def plain_console(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(console, "_is_plain", False)
    # The process of the test goes on after its runs.
    monkeypatch.setattr(follower, "NEXT_SECONDS", 0.0)
    yield
    console.console.cache_clear()


def begin_run(runs: Path) -> tuple[RunFolder, Callable[[], None]]:
    """A run in its first epoch, and a function that writes the rest of its record."""
    folder = make_run(runs, epochs=1, ended=False)

    def end() -> None:
        lines = [EVENTS.encode(event) for event in events(run=folder.name)]
        written = len(folder.events.read_text().splitlines())
        with folder.events.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines[written:]))

    return folder, end


def test_a_run_is_told_in_single_lines_that_anything_can_read(tmp_path: Path) -> None:
    said: list[str] = []
    folder, end = begin_run(tmp_path)
    with RunLock.acquire(folder.path):
        followed = RunFollower(said.append, 3600.0)
        followed.follow(folder)
        assert followed.is_live and not said
        end()
        assert followed.wait(60)
    # The epoch in progress, epochs 2 and 4 (3 follows too soon), the evaluation and the end.
    kinds = [line.split(maxsplit=2)[0] for line in said]
    assert kinds == ["epoch", "epoch", "epoch", "test", "tiny"]
    assert re.fullmatch(r"tiny [0-9a-f]{4} finished", said[-1])
    assert all(line.isprintable() for line in said)


def test_a_process_that_is_killed_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    folder, _ = begin_run(tmp_path)
    followed = RunFollower(said.append, 3600.0)
    with RunLock.acquire(folder.path):
        followed.follow(folder)
    assert followed.wait(60)
    assert said[-1].endswith("its process has ended without a word")


def test_words_are_short_for_the_commands_about_the_current_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(make_run(tmp_path / "runs").path)
    image = tmp_path / "a b.png"
    image.touch()
    commands: list[list[str]] = []

    def run_command(words: list[str]) -> int:
        commands.append(words)
        return 0

    monkeypatch.setattr(main, "run", run_command)
    lines = [
        "evaluate",
        "errors --true Shirt",
        "errors 7f3a",
        "data",
        "data show fashion",
        "compare a b",
        "rate 0.01",
        "stop  # now",
        f"predict '{image}'",
        "predict model.pth x.png",
        "sweep list",
        "evalute",
        "dashboard",
        "'",
        "status",
        "quit",
        "data",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert PlainPrompt(tmp_path / "runs").run() == 0
    assert commands == [
        ["evaluate", run],
        ["errors", run, "--true", "Shirt"],
        ["errors", "7f3a"],
        ["data", "list"],
        ["data", "show", "fashion", "--count=0"],
        ["runs", "compare", "a", "b"],
        ["runs", "set", run, "lr=0.01"],
        ["runs", "stop", run],
        ["predict", run, str(image)],
        ["predict", "model.pth", "x.png"],
        ["sweep", "list"],
    ]
    shown = capsys.readouterr()
    assert 'did you mean "evaluate"' in shown.err and "draws a screen" in shown.err
    assert "not understood: no closing quotation" in shown.out
    # `status`, at the beginning too: what the newest run is and has.
    assert len(re.findall(r"^tiny \w{4}, finished, .*test \d", shown.out, re.MULTILINE)) == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", shown.out)


def test_a_training_is_followed_and_at_the_end_of_a_pipe_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []
    at_the_end: list[Callable[[], None]] = []

    def train(words: list[str]) -> int:
        commands.append(words)
        folder, end = begin_run(tmp_path / "runs")
        at_the_end.extend((end, RunLock.acquire(folder.path).release))
        sys.stdout.write(json.dumps({"path": str(folder.path)}))
        return 0

    def read_lines() -> Iterator[str]:
        yield from ("train fast --epochs 3\n", "train\n")
        for act in at_the_end:
            act()

    pipe = SimpleNamespace(readline=partial(next, read_lines(), ""), isatty=lambda: False)
    monkeypatch.setattr(main, "run", train)
    monkeypatch.setattr("sys.stdin", pipe)
    assert PlainPrompt(tmp_path / "runs").run() == 1
    options = [f"--runs={tmp_path / 'runs'}", "--detach", "--json"]
    assert commands == [["train", "fast", "--epochs", "3", *options]]
    shown = capsys.readouterr()
    assert "is in progress: stop ends it" in shown.err
    assert shown.out.splitlines()[-1].endswith("finished")

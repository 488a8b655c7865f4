"""Detached processes and the files that they write to."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fmnist_tui.protocol.events import EVENTS
from fmnist_tui.runs import handover
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import OUTPUT_FILE, HandoverOutput, resume_detached, start_detached
from fmnist_tui.util.errors import UserError
from tests.unit.support import started

PATIENCE = 30.0
# Replaces the program: prints its arguments and its environment, then waits.
PROGRAM = """#!{python}
import json, os, signal, sys, time
print(json.dumps({{
    "arguments": sys.argv[1:],
    "session": os.getsid(0),
    "group": os.getpgrp(),
    "ignores_sighup": signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,
    "read": sys.stdin.read(),
    "descriptors": len(os.listdir("/proc/self/fd")) - 1,
}}), flush=True)
print("an error", file=sys.stderr, flush=True)
time.sleep(60)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Replace the program by PROGRAM. The listed processes are killed at the end."""
    path = tmp_path / "a program"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    started: list[int] = []
    yield started
    for number in started:
        os.kill(number, signal.SIGKILL)


def read_lines(output: HandoverOutput, lines: int) -> list[str]:
    received: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while len(received) < lines and time.monotonic() < deadline:
        received += output.read_lines()
        time.sleep(0.02)
    return received


def test_a_run_continues_in_a_detached_process(tmp_path: Path, program: list[int]) -> None:
    folder = RunFolder.create(tmp_path / "my runs", "two-conv", "fashion")
    (folder.path / OUTPUT_FILE).write_text("earlier words\n")
    open_here = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(open_here, True)
    with HandoverOutput.for_run(folder) as output:
        number = resume_detached(folder, tmp_path / "data", seconds=0)
        program.append(number)
        line, error = read_lines(output, 2)
    os.close(open_here)
    process = json.loads(line)
    assert process["arguments"] == [
        "-P",
        "-m",
        "fmnist_tui",
        "train",
        f"--resume={folder.path}",
        f"--runs={tmp_path / 'my runs'}",
        f"--data={tmp_path / 'data'}",
    ]
    assert process["session"] == process["group"] != os.getsid(0)
    assert process["ignores_sighup"] and process["read"] == "" and process["descriptors"] == 3
    assert error == "an error"
    assert (folder.path / OUTPUT_FILE).read_text().startswith("earlier words\n{")
    process = psutil.Process(number)
    assert process.ppid() != os.getpid()
    assert os.getpid() not in [parent.pid for parent in process.parents()]
    os.kill(number, signal.SIGHUP)
    time.sleep(0.1)
    assert process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def replace_program(folder: RunFolder, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Replace the program by some lines of Python; `events` is the run's file."""
    path = folder.path.parent / "program"
    lines = f"import os, sys, time\nevents = {str(folder.events)!r}\n{body}\n"
    path.write_text(f"#!{sys.executable}\n{lines}")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_a_hand_over_is_confirmed_by_the_start_that_the_process_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    line = EVENTS.encode(replace(started(), host=socket.gethostname(), pid=999_999))
    # An earlier start does not count.
    folder.events.write_text(f"{line}\n")
    record = f"line = {line!r}.replace('999999', str(os.getpid()))"
    replace_program(folder, monkeypatch, f"{record}\nprint(line, file=open(events, 'a'))")
    process = resume_detached(folder, tmp_path)
    assert json.loads(folder.events.read_text().splitlines()[-1])["pid"] == process


def test_a_process_that_ends_before_it_trains_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    replace_program(folder, monkeypatch, "print('a note')\nsys.exit('fmnist-tui: no space')")
    with pytest.raises(UserError, match=r"^no space$"):
        resume_detached(folder, tmp_path)


def test_a_process_that_does_not_train_in_time_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    replace_program(folder, monkeypatch, "time.sleep(60)")
    with pytest.raises(UserError, match=r"process (\d+) .* does not train after 0 s") as caught:
        resume_detached(folder, tmp_path, seconds=0.01)
    os.kill(int(str(caught.value).split()[1]), signal.SIGKILL)


def test_an_unwritable_log_is_reported_in_one_line(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    (folder.path / OUTPUT_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=OUTPUT_FILE):
        resume_detached(folder, tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_shell_that_cannot_start_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    monkeypatch.setattr(handover, "_SHELL", "exit 3")
    with (
        HandoverOutput.for_run(folder) as output,
        pytest.raises(UserError, match="cannot start a process"),
    ):
        start_detached(["train"], output)


def test_only_complete_new_lines_are_read(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    (folder.path / OUTPUT_FILE).write_text("old\n")
    with HandoverOutput.for_run(folder) as output:
        os.write(output.descriptor, b"one\nhal")
        assert output.read_lines() == ["one"]
        assert output.read_lines() == []
        os.write(output.descriptor, b"f\xff\n")
        assert output.read_lines() == ["half\ufffd"]


def test_temporary_output_is_moved_to_the_run_or_deleted(tmp_path: Path) -> None:
    with HandoverOutput.temporary(tmp_path / "new" / "runs") as output:
        os.write(output.descriptor, b"an error\n")
        assert output.path.exists()
    assert list((tmp_path / "new" / "runs").iterdir()) == []
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    with HandoverOutput.temporary(tmp_path) as output:
        os.write(output.descriptor, b"started\n")
        output.move_to(folder)
        os.write(output.descriptor, b"continued\n")
    assert (folder.path / OUTPUT_FILE).read_text() == "started\ncontinued\n"
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_temporary_files_are_removed_unless_they_are_in_use(tmp_path: Path) -> None:
    left = tmp_path / ".writing-0123456789abcdef.tmp"
    left.write_text("left")
    with HandoverOutput.temporary(tmp_path) as in_use, HandoverOutput.temporary(tmp_path):
        assert not left.exists()
        assert in_use.path.exists()


def test_an_unwritable_runs_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--runs DIR"):
        HandoverOutput.temporary(tmp_path / "file" / "runs")


def test_the_runs_of_one_process_are_found_one_after_another_even_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = {1, 12}
    monkeypatch.setattr(handover, "_process_family", lambda _: family)
    find_run = handover.run_finder(tmp_path, None)
    begun = []
    for second in (2.0, 1.0, 3.0):
        folder = RunFolder.create(tmp_path, "run", "sketches")
        begin = replace(started(), t=second, host=socket.gethostname(), pid=12)
        folder.events.write_text(EVENTS.encode(begin) + "\n")
        begun.append(folder)
        if second == 2.0:
            assert find_run(1) == folder
            family = {1}  # it has ended
    assert [find_run(1) for _ in range(3)] == [begun[1], begun[2], None]

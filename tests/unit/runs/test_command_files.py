"""Sending commands to a run in another process."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from fmnist_tui.protocol.commands import COMMANDS, Command, Pause, Resume, SetLearningRate, Stop
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import JsonlReader
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader, send_command
from fmnist_tui.util.errors import UserError
from tests.unit.support import start_python


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """A live run."""
    folder = RunFolder.create(tmp_path, "two-conv", "fashion")
    with RunLock.acquire(folder.path):
        yield folder


def test_commands_arrive_once_in_the_order_sent(run: RunFolder) -> None:
    reader = CommandReader(run.commands, interval=0)
    assert reader.poll() == []
    send_command(run, Pause(1.0))
    send_command(run, SetLearningRate(2.0, 0.001))
    assert reader.poll() == [Pause(1.0), SetLearningRate(2.0, 0.001)]
    assert reader.poll() == []
    send_command(run, Resume(3.0))
    assert reader.poll() == [Resume(3.0)]


def test_earlier_commands_are_ignored(run: RunFolder) -> None:
    send_command(run, Stop(1.0))
    with run.commands.open("ab") as file:
        file.write(b'{"is":"Pau')
    reader = CommandReader(run.commands, interval=0)
    assert reader.poll() == []
    send_command(run, Pause(2.0))
    assert reader.poll() == [Pause(2.0)]


def test_an_incomplete_command_does_not_affect_later_ones(run: RunFolder) -> None:
    reader = CommandReader(run.commands, interval=0)
    line = COMMANDS.encode(Pause(2.0)).encode() + b"\n"
    # Of the same length as its replacement: only the bytes differ.
    run.commands.write_bytes(b"x" * len(line))
    assert reader.poll() == []
    send_command(run, Pause(2.0))
    assert run.commands.stat().st_size == len(line)
    assert reader.poll() == [Pause(2.0)]


def test_a_line_that_is_not_a_command_is_skipped(run: RunFolder) -> None:
    reader = CommandReader(run.commands, interval=0)
    run.commands.write_bytes(b'garbage\n{"is":"Rewind","t":1}\n{"is":"Pause","t":1}\n')
    assert reader.poll() == [Pause(1.0)]


def test_the_file_is_polled_at_most_ten_times_a_second(run: RunFolder) -> None:
    now = 100.0
    reader = CommandReader(run.commands)
    send_command(run, Pause(1.0))
    received: list[Command] = []
    with (
        mock.patch("time.monotonic", lambda: now),
        mock.patch.object(Path, "stat", autospec=True, side_effect=Path.stat) as stat,
    ):
        for _ in range(1000):
            received += reader.poll()
            now += 0.001
    assert 9 <= stat.call_count <= 11
    assert received == [Pause(1.0)]


def test_a_command_to_a_run_that_is_not_live_is_refused(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "two-conv", "fashion")
    with pytest.raises(UserError, match=f"{run.name} is not running"):
        send_command(run, Stop(1.0))
    assert not run.commands.exists()


def test_a_failed_command_is_reported_and_leaves_nothing(run: RunFolder) -> None:
    send_command(run, Pause(1.0))
    before = run.commands.read_bytes()
    write = os.write
    with (
        mock.patch.object(os, "write", lambda file, data: write(file, data[:5])),
        pytest.raises(UserError, match="cannot send a command to the run"),
    ):
        send_command(run, Stop(1.0))
    assert run.commands.read_bytes() == before


def test_an_unreadable_command_file_is_ignored(run: RunFolder) -> None:
    reader = CommandReader(run.commands, interval=0)
    run.commands.mkdir()
    assert reader.poll() == []
    assert CommandReader(run.commands, interval=0).poll() == []
    run.commands.rmdir()
    with mock.patch.object(Path, "stat", side_effect=OSError(errno.EIO, "Input/output error")):
        assert reader.poll() == []


SENDER = """
import os, sys, time
from pathlib import Path
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.log import send_command

# Slowly, so that the others come in between.
truncate = os.ftruncate
os.ftruncate = lambda file, size: (time.sleep(0.001), truncate(file, size))
for number in range(30):
    send_command(RunFolder(Path(sys.argv[1])), Stop(float(number), sys.argv[2]))
"""


def test_several_processes_may_send_at_once(run: RunFolder) -> None:
    reader, received = CommandReader(run.commands, interval=0), list[Command]()
    senders = [start_python(SENDER, run.path, name) for name in "abc"]
    while any(sender.poll() is None for sender in senders):
        received += reader.poll()
    received += reader.poll()
    for sender in senders:
        sender.communicate()
        assert sender.returncode == 0
    assert JsonlReader(run.commands, COMMANDS).read() == received
    for name in "abc":
        own = [
            command.t for command in received if isinstance(command, Stop) and command.why == name
        ]
        assert own == [float(number) for number in range(30)]

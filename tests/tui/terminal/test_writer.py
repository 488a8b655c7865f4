"""The thread that writes to the terminal never holds up for long what draws."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from fmnist_tui.tui.terminal import writer
from fmnist_tui.tui.terminal.writer import QUEUED_WRITES, TerminalWriter


class Terminal:
    """Takes output while it is read."""

    def __init__(self) -> None:
        self.is_read = threading.Event()
        self.shown: list[str] = []
        self.buffer = self

    def write(self, data: bytes) -> None:
        self.is_read.wait()
        self.shown.append(data.decode())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(writer, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.05)
    return Terminal()


def start(terminal: Terminal) -> TerminalWriter:
    thread = TerminalWriter(cast("Any", terminal))
    thread.start()
    return thread


def test_what_a_stalled_terminal_does_not_take_is_dropped_and_drawn_again_later(
    terminal: Terminal,
) -> None:
    resumed = threading.Event()
    thread = start(terminal)
    thread.on_resumed = resumed.set
    started = time.monotonic()
    for number in range(1000):
        thread.write(str(number))
    assert time.monotonic() - started < 5, "each write has waited"
    terminal.is_read.set()
    assert resumed.wait(10)
    assert terminal.shown == [str(number) for number in range(QUEUED_WRITES)]
    thread.write("all again")
    assert thread.stop()
    assert terminal.shown[-1] == "all again"


def test_stopping_writes_the_rest(terminal: Terminal) -> None:
    thread = start(terminal)
    terminal.is_read.set()
    for number in range(100):
        thread.write(str(number))
    assert thread.stop()
    assert len(terminal.shown) == 100
    thread.write("late")
    assert len(terminal.shown) == 100


def test_stopping_does_not_wait_for_a_stalled_terminal(terminal: Terminal) -> None:
    thread = start(terminal)
    for number in range(100):
        thread.write(str(number))
    assert not thread.stop()
    terminal.is_read.set()

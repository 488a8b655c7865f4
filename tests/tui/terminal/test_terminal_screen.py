"""The descriptor that the dashboard draws to, when the terminal is slow or gone."""

from __future__ import annotations

import os
import pty
import threading

from fmnist_tui.tui.terminal.stdio import TerminalScreen


def test_writing_to_a_terminal_that_has_gone_raises_nothing() -> None:
    ours, theirs = pty.openpty()
    screen = TerminalScreen(theirs)
    os.close(ours)
    assert screen._file.write("lost") == 4
    screen.close()


def test_all_is_written_to_a_terminal_that_is_slow_and_does_not_block() -> None:
    text = "x" * 1_000_000
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    screen = TerminalScreen(writing)

    def write() -> None:
        screen._file.write(text)
        screen.close()

    writer = threading.Thread(target=write)
    writer.start()
    received = 0
    while block := os.read(reading, 65536):
        received += len(block)
    writer.join()
    os.close(reading)
    assert received == len(text)

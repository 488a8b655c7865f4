"""The terminal that the dashboard draws to, when it is slow, takes no output or is gone."""

from __future__ import annotations

import contextlib
import os
import pty
import threading
import tty
from collections import deque
from collections.abc import Iterator

import pytest

from fmnist_tui.tui.terminal.stdio import RESTORE, TerminalScreen

MUCH = "x" * 1_000_000
Ends = tuple[int, int]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The two ends of a terminal: ours and the program's."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    yield ours, theirs
    for descriptor in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def screen(ends: Ends) -> Iterator[TerminalScreen]:
    screen = TerminalScreen(deque(), ends[1])
    yield screen
    screen.restore()


def read_all(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while block := os.read(descriptor, 65536):
            data += block
    return data


def test_writing_to_a_terminal_that_has_gone_raises_nothing(
    ends: Ends, screen: TerminalScreen
) -> None:
    os.close(ends[0])
    assert screen.file.write("lost") == 4
    assert screen.file.write("lost") == 4


def test_all_is_written_to_a_terminal_that_is_slow(ends: Ends, screen: TerminalScreen) -> None:
    writer = threading.Thread(target=screen.file.write, args=(MUCH,))
    writer.start()
    received = 0
    while received < len(MUCH):
        received += len(os.read(ends[0], 65536))
    writer.join()
    assert received == len(MUCH)
    assert os.get_blocking(ends[1]), "the descriptor is shared with the shell"


def test_a_terminal_that_is_read_no_more_is_given_up_and_restored_when_it_is_read_again(
    ends: Ends, screen: TerminalScreen
) -> None:
    writer = threading.Thread(target=screen.file.write, args=(MUCH,))
    writer.start()
    os.read(ends[0], 1)
    screen.give_up()
    writer.join()
    shown = read_all(ends[0])
    assert shown.endswith(RESTORE.encode()) and len(shown) < len(MUCH)
    screen.file.write("nothing more")
    assert not read_all(ends[0])


def test_a_screen_that_is_restored_while_a_thread_writes_to_it_raises_nothing(
    ends: Ends, screen: TerminalScreen
) -> None:
    errors: list[BaseException] = []
    terminal = screen.file.buffer

    def write() -> None:
        try:
            terminal.write(MUCH.encode())
            terminal.write(b"after it was closed")
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    os.read(ends[0], 1)
    screen.restore()
    writer.join()
    assert errors == []

"""Signals that ask a command for its end."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator

import pytest

from fmnist_tui.cli.support.follow import heeding, status


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """As it was, after the test."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupted(io.RawIOBase):
    """A file during whose first write Ctrl-C is pressed."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if not self.written:
            os.kill(os.getpid(), signal.SIGINT)
        self.written += data
        return len(data)


def test_a_signal_in_the_middle_of_a_line_may_be_answered_by_another_line() -> None:
    raw = Interrupted()
    buffered = io.BufferedWriter(raw)  # type: ignore[type-var]

    def say(line: bytes) -> None:
        buffered.write(line)
        buffered.flush()

    with heeding(lambda name: say(name.encode() + b"\n"), lambda: None) as caught:
        say(b"epoch 1\n")
    assert raw.written == b"epoch 1\nCtrl-C\n"
    assert status(caught) == 130


def test_only_a_second_ctrl_c_does_not_wait() -> None:
    asked: list[str] = []
    ended: list[bool] = []
    with heeding(asked.append, lambda: ended.append(True)) as caught:
        for number in (signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert ended == []
        os.kill(os.getpid(), signal.SIGINT)
        assert ended == [True]
    assert asked[0] == "SIGTERM" and status(caught) == 143

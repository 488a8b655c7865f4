"""Signals that ask a command to end."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator

import pytest

from fmnist_tui.cli.support.follow import exit_status, handle_signals


@pytest.fixture(autouse=True)
def restored_handler() -> Iterator[None]:
    """Restores the handler of Ctrl-C after each test."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


class InterruptedFile(io.RawIOBase):
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


def test_a_signal_handler_can_print_while_a_line_is_written() -> None:
    raw = InterruptedFile()
    buffered = io.BufferedWriter(raw)  # type: ignore[type-var]

    def write(line: bytes) -> None:
        buffered.write(line)
        buffered.flush()

    with handle_signals(lambda name: write(name.encode() + b"\n"), lambda _: None) as received:
        write(b"epoch 1\n")
    assert raw.written == b"epoch 1\nCtrl-C\n"
    assert exit_status(received) == 130


def test_only_a_second_ctrl_c_or_sigquit_ends_at_once() -> None:
    names: list[str] = []
    ends: list[int] = []
    with handle_signals(names.append, ends.append) as received:
        for number in (signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert ends == []
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGQUIT)
        assert ends == [signal.SIGINT, signal.SIGQUIT]
    assert names[0] == "SIGTERM" and exit_status(received) == 143

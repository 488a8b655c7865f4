"""How the dashboard leaves a terminal."""

from __future__ import annotations

import os
import pty
import termios
from typing import Any, cast

import pytest
from textual.app import App

from fmnist_tui.tui.terminal.terminal_driver import State, TerminalDriver


class Writer:
    """Stands for the thread that writes to a slow terminal, which `stop` waits for."""

    def __init__(self, done: list[str]) -> None:
        self._done = done

    def write(self, _: str) -> None: ...

    def flush(self) -> None: ...

    def stop(self) -> bool:
        self._done.append("last output")
        return True


async def test_keys_are_echoed_after_the_last_output_and_ctrl_c_is_a_signal_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal that echoes keys earlier would mix them into it."""
    done: list[str] = []

    def set_modes(_: int, _when: int, modes: list[Any]) -> None:
        names = {"echo": termios.ECHO, "signals": termios.ISIG}
        done.append(" ".join(name for name, mode in names.items() if modes[3] & mode))

    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(termios, "tcsetattr", set_modes)
    our, child = pty.openpty()
    try:
        driver = TerminalDriver(App())
        driver.fileno = child
        driver.attrs_before = termios.tcgetattr(child)
        driver._writer_thread = cast("Any", Writer(done))
        driver._state = State.ON
        driver.stop_application_mode()
        driver.close()
    finally:
        os.close(our)
        os.close(child)
    assert done == ["signals", "last output", "echo signals"]

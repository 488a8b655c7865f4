"""What the dashboard sends to a browser that takes nothing."""

from __future__ import annotations

import os
import sys
import time
from collections import deque

import pytest
from textual.app import App

from fmnist_tui.tui.terminal import writer
from fmnist_tui.tui.terminal.browser_driver import BrowserDriver
from fmnist_tui.tui.terminal.stdio import TerminalScreen


async def test_a_browser_that_takes_nothing_does_not_hold_up_the_dashboard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.05)
    input_reading, input_writing = os.pipe()
    reading, writing = os.pipe()
    screen = TerminalScreen(deque(), writing)
    os.close(writing)
    try:
        monkeypatch.setattr(sys, "__stdin__", os.fdopen(input_reading))
        monkeypatch.setattr(sys, "__stdout__", screen.file)
        driver = BrowserDriver(App())
        started = time.monotonic()
        for _ in range(1000):
            driver.write("x" * 10_000)
        driver.close()
        assert time.monotonic() - started < 5, "each write has waited"
        size = len("x" * 10_000)
        block = b"D" + size.to_bytes(4, "big") + b"x" * size
        assert os.read(reading, len(block)) == block
    finally:
        os.close(reading)
        os.close(input_writing)
        screen.restore()

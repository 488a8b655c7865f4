"""What a signal does to the dashboard, and what it no longer does once the screen is closed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
from textual.app import App

from fmnist_tui.tui.terminal import signals
from fmnist_tui.tui.terminal.terminal_driver import TerminalDriver

ALL = (
    *signals.ENDING,
    signal.SIGQUIT,
    signal.SIGCONT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put the handlers of the tests' process back."""
    before = {number: signal.getsignal(number) for number in ALL}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_are_acted_on_at_once_and_ignored_after_the_event_loop() -> None:
    received: list[signal.Signals] = []

    async def run() -> None:
        signals.handle(lambda number, _: received.append(number), lambda: None)
        for number in signals.ENDING:
            os.kill(os.getpid(), number)

    asyncio.run(run())
    assert received == list(signals.ENDING)
    for number in signals.ENDING:
        os.kill(os.getpid(), number)
    assert received == list(signals.ENDING)


def test_no_handler_of_the_screen_outlives_it() -> None:
    """SIGCONT comes with the SIGHUP of a closing terminal, while the run is handed over."""

    async def run() -> None:
        signals.handle(lambda *_: None, lambda: None)
        TerminalDriver(App())

    asyncio.run(run())
    os.kill(os.getpid(), signal.SIGCONT)  # before anything is released, too
    signals.release()
    standard = {signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler}
    kept = {number for number in ALL if signal.getsignal(number) not in standard}
    # Their handlers do nothing any more: ignored, the process that takes the run over would
    # ignore them too.
    assert kept == {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
    for number in (signal.SIGHUP, signal.SIGCONT, *kept):
        os.kill(os.getpid(), number)

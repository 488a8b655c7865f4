"""What the dashboard does on signals.

SIGHUP                            the run continues in a process of its own
SIGINT, SIGTERM, SIGUSR1, SIGUSR2 the run is saved and stopped
SIGQUIT                           the process ends at once; the last checkpoint is what remains
SIGTSTP, SIGCONT                  `terminal_driver.py`

The first five close the screen and restore the terminal if it is there; the exit status is
128 + their number. Once the screen is closed, while the run is being saved or handed over, all of
them but SIGINT are ignored: a second Ctrl-C ends the process.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import NoReturn

OnEnd = Callable[[signal.Signals, asyncio.AbstractEventLoop], object]
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def handle(on_end: OnEnd, restore_terminal: Callable[[], object]) -> None:
    """Call `on_end` in the handler of a signal that asks for the end, unless the event loop has
    ended; SIGQUIT ends the process after `restore_terminal`.

    Handlers of the loop's own would end with the loop: the same signal, sent again while the run
    is being saved, would then end the process."""
    loop = asyncio.get_running_loop()

    def end(number: int, _: object) -> None:
        if not loop.is_closed():
            on_end(signal.Signals(number), loop)

    def quit_at_once(number: int, _: object) -> NoReturn:
        restore_terminal()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)

    for number in ENDING:
        loop.remove_signal_handler(number)  # Textual's, for a browser
        signal.signal(number, end)
    signal.signal(signal.SIGQUIT, quit_at_once)


def release() -> None:
    """The screen is closed: leave no handler that needs the event loop or the terminal."""
    # A terminal that is lost from here on must not end the process, nor printing stop it.
    for number in (signal.SIGHUP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGQUIT, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""Signals that ask the dashboard to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def handle(number: signal.Signals, on_signal: Callable[[], object]) -> None:
    """Call `on_signal` in the event loop on this signal, and do nothing on it once the loop ends.

    A handler of the loop's own would end with the loop: the same signal, sent again while the
    run is being saved, would then end the process."""
    loop = asyncio.get_running_loop()

    def receive(*_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(on_signal)

    loop.remove_signal_handler(number)  # Textual's, for a browser
    signal.signal(number, receive)

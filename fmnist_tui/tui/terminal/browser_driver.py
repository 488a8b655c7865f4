"""The driver of a dashboard that is shown in a browser.

Textual's web driver exchanges packets with the server over the standard streams. The end of its
input is treated like the loss of a terminal: the run continues without the dashboard. That
includes a server that was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO, cast

from textual.drivers.web_driver import WebDriver

from fmnist_tui.tui.terminal.writer import TerminalWriter

Size = tuple[int, int]
_FORWARDED = ("resize", "focus", "blur")


def driver_class(install_signal_handlers: Callable[[], None]) -> type[WebDriver]:
    """A driver that calls `install_signal_handlers` once it has started."""

    class SignalSafeDriver(BrowserDriver):
        def start_application_mode(self) -> None:
            super().start_application_mode()
            # The base class has just installed its own handlers.
            install_signal_handlers()

    return SignalSafeDriver


class BrowserDriver(WebDriver):
    """Sends SIGHUP to this process once the browser or the server is gone."""

    _hangup_sent = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._writer = TerminalWriter(cast("TextIO", sys.__stdout__))
        self._writer.on_resumed = self._redraw
        self._writer.start()

    def write(self, data: str) -> None:
        """Write a packet with terminal output."""
        encoded = data.encode("utf-8", "replace")
        self._writer.write_bytes(b"D" + len(encoded).to_bytes(4, "big") + encoded)

    def close(self) -> None:
        self._writer.stop()

    def _redraw(self) -> None:
        # The loop may be closed: then the app has been left.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(partial(self._app.refresh, layout=True))

    def write_meta(self, data: dict[str, object]) -> None:
        """Send nothing: the browser must not be told to open addresses or fetch files, and the
        end of the output says that the dashboard has ended."""

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        if packet_type in _FORWARDED:
            super().on_meta(packet_type, payload)
        elif packet_type == "quit":
            self._send_hangup()

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._send_hangup()

    def _send_hangup(self) -> None:
        if not self._hangup_sent:
            self._hangup_sent = True
            os.kill(os.getpid(), signal.SIGHUP)

"""The driver of a dashboard that is shown in a browser.

Textual's web driver exchanges packets with the server over the standard streams. The end of its
input is treated like the loss of a terminal: the run continues without the dashboard. That
includes a server that was killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from textual.drivers.web_driver import WebDriver

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

    def write(self, data: str) -> None:
        """Write a packet with terminal output, also if a signal interrupts the write."""
        encoded = data.encode("utf-8", "replace")
        rest = memoryview(b"D" + len(encoded).to_bytes(4, "big") + encoded)
        try:
            while rest:
                rest = rest[os.write(self.fileno, rest) :]
        except OSError:
            self._send_hangup()

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

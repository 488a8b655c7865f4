"""The dashboard in a browser: what stands in for the terminal there.

Textual's web driver speaks packets over the standard streams with whoever serves the page.
Here the end of its input is what a hang-up is to a terminal: whoever looked on has gone,
and the run goes on without them. That also holds where the server was killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.drivers.web_driver import WebDriver

Size = tuple[int, int]
_HEEDED = ("resize", "focus", "blur")


def driver(heed: Callable[[], None]) -> type[WebDriver]:
    """The driver for a dashboard that heeds signals by itself: `heed` says so to the loop."""

    class Heeding(BrowserDriver):
        def start_application_mode(self) -> None:
            super().start_application_mode()
            # It has taken the signals for itself.
            heed()

    return Heeding


class BrowserDriver(WebDriver):
    """Ends the dashboard by SIGHUP once nobody is on the other side any more."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._hung_up = False

    def write(self, data: str) -> None:
        self._whole(b"D", data.encode("utf-8", "replace"))

    def write_meta(self, data: dict[str, object]) -> None:
        # That the dashboard has ended is all it may tell the browser, and the end of its
        # output says as much: no addresses to open, no files to fetch.
        return

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        if packet_type in _HEEDED:
            super().on_meta(packet_type, payload)
        elif packet_type == "quit":
            self._hang_up()

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._hang_up()

    def _whole(self, kind: bytes, data: bytes) -> None:
        """Write a packet to its last byte: a signal may come in the middle."""
        rest = memoryview(kind + len(data).to_bytes(4, "big") + data)
        try:
            while rest:
                rest = rest[os.write(self.fileno, rest) :]
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if not self._hung_up:
            self._hung_up = True
            os.kill(os.getpid(), signal.SIGHUP)

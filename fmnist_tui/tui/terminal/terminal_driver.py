"""The driver of a dashboard in a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import termios

from textual import constants
from textual.drivers.linux_driver import LinuxDriver

from fmnist_tui.tui.terminal.input_decoder import InputDecoder

# How often the thread that reads the keys looks whether it should end.
_POLL_S = 0.1
_READ_BYTES = 4096


class TerminalDriver(LinuxDriver):
    """Lets keys be echoed only after the last output, and restarts after SIGCONT only what has
    been stopped.

    Textual's restores all line modes while output may still wait for a slow terminal, which then
    echoes keys into it. And it would start a second reader of the keys if Ctrl-Z had not stopped
    the first: after SIGSTOP, after SIGCONT alone, and after SIGHUP, which a closing terminal sends
    with SIGCONT.
    """

    def stop_application_mode(self) -> None:
        modes = self.attrs_before
        if modes is not None:
            # All but the echo: Ctrl-C must end a dashboard that hangs while it closes.
            self.attrs_before = [*modes[:3], modes[3] & ~termios.ECHO, *modes[4:]]
        super().stop_application_mode()
        self.attrs_before = modes

    def close(self) -> None:
        super().close()
        if self.attrs_before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)

    def run_input_thread(self) -> None:
        """Read keys, pastes and the terminal's answers until the dashboard is left."""
        decoder = InputDecoder()
        while not self.exit_event.is_set():
            seconds = constants.ESCAPE_DELAY if decoder.may_be_escape else _POLL_S
            if select.select([self.fileno], [], [], seconds)[0]:
                data = os.read(self.fileno, _READ_BYTES)
                if not data:
                    raise OSError("the terminal has been closed")
                messages = decoder.feed(data)
            else:
                messages = decoder.wait(seconds)
            for message in messages:
                self.process_message(message)

    def _sigcont_application(self, *_: object) -> None:
        if self._must_signal_resume:
            super()._sigcont_application()
        elif not self._loop.is_closed():
            # Not in the signal handler, which may have interrupted a write.
            self._loop.call_soon_threadsafe(self._restart)

    def _restart(self) -> None:
        """Set the terminal up again: a shell may have changed it meanwhile."""
        if self._auto_restart and self._key_thread is not None and os.isatty(self.fileno):
            self.suspend_application_mode()
            self.resume_application_mode()
            self._app.refresh(layout=True)

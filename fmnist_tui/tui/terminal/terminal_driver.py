"""The driver of a dashboard in a terminal."""

from __future__ import annotations

import contextlib
import os
import termios

from textual.drivers.linux_driver import LinuxDriver


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

"""The driver of a dashboard in a terminal."""

from __future__ import annotations

import os

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """Restarts after SIGCONT only what has been stopped.

    Textual's would start a second reader of the keys if Ctrl-Z had not stopped the first: after
    SIGSTOP, after SIGCONT alone, and after SIGHUP, which a closing terminal sends with SIGCONT.
    """

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

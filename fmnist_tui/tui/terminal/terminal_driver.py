"""The driver of a dashboard in a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any

from textual import constants
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from fmnist_tui.tui.terminal import osc
from fmnist_tui.tui.terminal.input_decoder import InputDecoder
from fmnist_tui.tui.terminal.stdio import is_in_foreground
from fmnist_tui.tui.terminal.writer import TerminalWriter

# The class of which LinuxDriver starts a thread.
linux_driver.WriterThread = TerminalWriter  # type: ignore[attr-defined, assignment]
# So long leaving waits for the thread that reads the keys.
_READER_S = 0.5
# How often that thread looks whether it should end.
_POLL_S = 0.1
_READ_BYTES = 4096
# With so many unhandled, nothing more is read: a flood would fill the memory.
_MOST_MESSAGES = 2_000


class State(Enum):
    """What the driver has done with the terminal."""

    OFF = "not set up, or left"
    ON = "set up"
    SUSPENDED = "given back to the shell"


def driver_class(give_up: Callable[[], object]) -> type[LinuxDriver]:
    """A driver that calls `give_up` if the last output cannot be written."""

    class Driver(TerminalDriver):
        def give_up(self) -> None:
            give_up()

    return Driver


class TerminalDriver(LinuxDriver):
    """Textual's driver, of which no step waits for the terminal without a limit.

    Keys are echoed only after the last output: all line modes restored at once, a slow terminal
    would echo keys into it. A signal handler only asks the event loop to act: it may have
    interrupted a write. SIGCONT sets the terminal up again, whatever has stopped the process,
    unless a shell continued it in the background.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._state = State.OFF
        self._title = ""

    def give_up(self) -> None:
        """The last output cannot be written."""

    # -- the terminal's modes --------------------------------------------------------------

    def start_application_mode(self) -> None:
        if not is_in_foreground(self.fileno):
            self._state = State.SUSPENDED
            self._call_soon(self._suspend)
            return
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._state = State.ON
        self.write(osc.SAVE_TITLE)
        self._write_title()
        writer: Any = self._writer_thread
        if writer is not None:
            writer.on_resumed = lambda: self._call_soon(self._redraw)

    def set_title(self, title: str) -> None:
        """Set the terminal's title, until the dashboard is left or suspended."""
        if title != self._title:
            self._title = title
            self._write_title()

    def _write_title(self) -> None:
        if self._title and self._state is State.ON and osc.has_title():
            self.write(osc.title_sequence(self._title))

    def disable_input(self) -> None:
        if self._state is State.ON:
            super().disable_input()

    def stop_application_mode(self) -> None:
        if self._state is not State.ON:
            return
        modes = self.attrs_before
        if modes is not None:
            # All but the echo: Ctrl-C must end a dashboard that hangs while it closes.
            self.attrs_before = [*modes[:3], modes[3] & ~termios.ECHO, *modes[4:]]
        self.write(osc.RESTORE_TITLE)
        super().stop_application_mode()
        self.attrs_before = modes
        self._state = State.OFF

    def suspend_application_mode(self) -> None:
        self.stop_application_mode()
        self._close_writer()
        self._state = State.SUSPENDED

    def close(self) -> None:
        if not self._close_writer():
            self.give_up()

    def _close_writer(self) -> bool:
        """Write the rest and let keys be echoed; False if the rest cannot be written."""
        writer: Any = self._writer_thread
        is_written = writer is None or writer.stop()
        if self.attrs_before is not None and is_in_foreground(self.fileno):
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        return is_written

    def write(self, data: str) -> None:
        # Without a thread the terminal has gone before it was set up.
        if self._writer_thread is not None:
            super().write(data)

    # -- keys ------------------------------------------------------------------------------

    def _run_input_thread(self) -> None:
        # In a daemon thread: a read whose input another process got first must not keep this
        # process from ending.
        reader = threading.Thread(target=self._read_keys, name="terminal input", daemon=True)
        reader.start()
        self.exit_event.wait()
        reader.join(_READER_S)

    def _read_keys(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            # The terminal is gone; without job control nothing else says so.
            os.kill(os.getpid(), signal.SIGHUP)
        except Exception as error:  # noqa: BLE001 - shown by the app
            self._app.call_later(self._app._handle_exception, error)

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
            while self._app.message_queue_size > _MOST_MESSAGES:
                if self.exit_event.wait(0.01):
                    return

    # -- Ctrl-Z, fg, bg --------------------------------------------------------------------

    def _sigtstp_application(self, *_: object) -> None:
        self._call_soon(self._suspend)

    def _sigcont_application(self, *_: object) -> None:
        self._call_soon(self._restart)

    def _suspend(self) -> None:
        if self._app._exit:
            return
        if self._state is State.ON:
            self.suspend_application_mode()
        if self._state is State.SUSPENDED:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _restart(self) -> None:
        """Set the terminal up again: a shell may have changed it meanwhile."""
        if self._state is State.OFF or self._app._exit:
            return
        if not is_in_foreground(self.fileno):
            self._suspend()
            return
        if self._state is State.ON:
            self.suspend_application_mode()
        self.resume_application_mode()
        self._redraw()

    def _redraw(self) -> None:
        if self._state is State.ON:
            self._app.refresh(layout=True)

    def _call_soon(self, act: Callable[[], None]) -> None:
        # The loop may be closed: then the app has been left.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)

"""The terminal while the dashboard runs: other output goes to the log pane.

C++ code, compile workers and warnings write to the descriptors 1 and 2, which would corrupt the
screen. While the dashboard runs, both lead into a pipe, and the screen has a descriptor of its
own. At the end both are restored, and the terminal's modes with them.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from fmnist_tui.tui.terminal import osc

# Switches off what a screen that crashed may have left on: mouse, paste and focus reports, key
# protocol, hidden cursor, no line wrap, the alternate screen, the title.
RESTORE = (
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?2004l\x1b[?1004l\x1b[?2048l"
    "\x1b[<u\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m" + osc.RESTORE_TITLE
)
_LINE_LIMIT = 4000
_POLL_SECONDS = 0.1
_SMALL_BLOCK = 1024


class _TerminalFile(io.FileIO):
    """The terminal, opened a second time so that writing to it need not wait for its reader.

    The first descriptor stays as it is: other processes share it. Where the terminal cannot be
    opened (it is another user's), so little is written at once that it seldom waits."""

    def __init__(self, descriptor: int) -> None:
        self._block: int | None = None
        try:
            is_linux = sys.platform == "linux"
            path = f"/proc/self/fd/{descriptor}" if is_linux else os.ttyname(descriptor)
            opened = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            opened, self._block = os.dup(descriptor), _SMALL_BLOCK
        # Once set, nothing more is written.
        self.is_given_up = False
        self._lock = threading.Lock()
        super().__init__(opened, "w")

    def write(self, data: Any, /) -> int:
        rest, length = memoryview(data), memoryview(data).nbytes
        with self._lock:
            try:
                while rest and not self.is_given_up:
                    if not select.select([], [self], [], _POLL_SECONDS)[1]:
                        continue
                    written = super().write(rest[: self._block])
                    if written is None:
                        time.sleep(_POLL_SECONDS / 10)  # there is room, but not enough
                    else:
                        rest = rest[written:]
            except OSError:
                # The terminal is gone; SIGHUP says so, too.
                self.is_given_up = True
        return length

    @contextlib.contextmanager
    def given_up(self) -> Iterator[int]:
        """Write nothing more; in this context, a thread that was writing has ended doing so."""
        self.is_given_up = True
        has_ended = self._lock.acquire(timeout=5 * _POLL_SECONDS)
        try:
            yield self.fileno()
        finally:
            if has_ended:
                self._lock.release()


class TerminalScreen:
    """The terminal while the dashboard draws to it: `file` leads to the terminal, the descriptors
    1 and 2 to a pipe, whose lines go to `lines`. Nothing but `file` waits for a terminal that
    takes no output, and that only until `give_up`."""

    def __init__(self, lines: deque[str], terminal: int = 1) -> None:
        self._attributes: list[Any] | None = None
        with contextlib.suppress(OSError, termios.error):
            self._attributes = termios.tcgetattr(0)
        self._terminal = _TerminalFile(terminal)
        self.file = io.TextIOWrapper(self._terminal, "utf-8", "replace", write_through=True)
        self._originals = [os.dup(number) for number in (1, 2)]
        reading, writing = os.pipe()
        _flush()
        for number in (1, 2):
            os.dup2(writing, number)
        os.close(writing)
        streams: Any = sys
        self._streams = (streams.__stdout__, streams.__stderr__)
        streams.__stdout__ = streams.__stderr__ = self.file
        self._reader = threading.Thread(
            target=_read_lines, args=(reading, lines), name="printed", daemon=True
        )
        self._reader.start()
        self._is_restored = False

    def give_up(self) -> None:
        """Write no more of the screen, but restore the terminal's modes: at once, or when it is
        read again. Safe in a signal handler."""
        with self._terminal.given_up() as descriptor:
            with contextlib.suppress(OSError, termios.error):
                # The unread rest of the screen leaves no room.
                termios.tcflush(descriptor, termios.TCOFLUSH)
            with contextlib.suppress(OSError):
                if self._has_room():
                    os.write(descriptor, RESTORE.encode())
        self._restore_line_modes(termios.TCSANOW)

    def restore(self) -> None:
        """Give the descriptors and the terminal's line modes back."""
        if self._is_restored:
            return
        self._is_restored = True
        _flush()
        can_print = not self._terminal.is_given_up or self._has_room()
        devnull = os.open(os.devnull, os.O_WRONLY)
        for number, copy in zip((1, 2), self._originals, strict=True):
            # A line that is printed must not wait, either.
            os.dup2(copy if can_print or not os.isatty(copy) else devnull, number)
            os.close(copy)
        os.close(devnull)
        streams: Any = sys
        streams.__stdout__, streams.__stderr__ = self._streams
        # The pipe has ended, unless a child process still has it open.
        self._reader.join(0.5)
        self._restore_line_modes(
            termios.TCSANOW if self._terminal.is_given_up else termios.TCSADRAIN
        )
        # A thread may still be writing the rest of the screen.
        with self._terminal.given_up(), contextlib.suppress(OSError, ValueError):
            self.file.close()

    def _has_room(self) -> bool:
        try:
            return bool(select.select([], [self._terminal], [], 0)[1])
        except (OSError, ValueError):
            return False

    def _restore_line_modes(self, when: int) -> None:
        if self._attributes is not None and is_in_foreground(0):
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(0, when, self._attributes)


def is_in_foreground(descriptor: int) -> bool:
    """Whether the terminal is this process's to set up, not that of a shell which has put it in
    the background."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True  # it is not the terminal that controls this process


@contextlib.contextmanager
def redirected_output(lines: deque[str]) -> Iterator[TerminalScreen]:
    """Give the terminal to the screen; lines that are printed meanwhile go to `lines`."""
    screen = TerminalScreen(lines)
    # Textual would use a size from the environment instead of the terminal's.
    sizes = {name: os.environ.pop(name, None) for name in ("COLUMNS", "LINES")}
    try:
        yield screen
    finally:
        os.environ.update({name: size for name, size in sizes.items() if size is not None})
        screen.restore()


def _flush() -> None:
    for file in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            file.flush()


def _read_lines(descriptor: int, lines: deque[str]) -> None:
    rest = b""
    with contextlib.suppress(OSError):
        while block := os.read(descriptor, 65536):
            *complete, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
            if len(rest) > _LINE_LIMIT:
                complete, rest = [*complete, rest], b""
            lines += [
                line[:_LINE_LIMIT].decode("utf-8", "replace") for line in complete if line.strip()
            ]
    if rest.strip():
        lines.append(rest.decode("utf-8", "replace"))
    os.close(descriptor)

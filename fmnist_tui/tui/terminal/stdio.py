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
from collections import deque
from collections.abc import Iterator
from typing import Any

# Switches off what a screen that crashed may have left on: mouse, paste and focus reports, key
# protocol, hidden cursor, no line wrap, the alternate screen.
RESTORE = (
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?2004l\x1b[?1004l\x1b[?2048l"
    "\x1b[<u\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m"
)
_LINE_LIMIT = 4000


class _TerminalFile(io.FileIO):
    """A failing write would end Textual's writer thread, for which the app waits forever.

    A terminal that has gone sends SIGHUP, too."""

    def write(self, data: Any, /) -> int:
        rest = memoryview(data)
        length = len(rest)
        with contextlib.suppress(OSError):
            while rest:
                written = super().write(rest)
                if written is None:  # the terminal is set to non-blocking
                    select.select([], [self], [])
                else:
                    rest = rest[written:]
        return length


class TerminalScreen:
    """The terminal's descriptor that the dashboard draws to."""

    def __init__(self, descriptor: int) -> None:
        self._file = io.TextIOWrapper(_TerminalFile(descriptor, "w"), "utf-8", write_through=True)

    def discard(self) -> None:
        """Discard all further output: the terminal is gone."""
        devnull = os.open(os.devnull, os.O_RDWR)
        os.dup2(devnull, self._file.fileno())
        os.close(devnull)

    def reset(self) -> None:
        """Reset the modes of a screen that ended unexpectedly."""
        with contextlib.suppress(OSError):
            os.write(self._file.fileno(), RESTORE.encode())

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.close()


@contextlib.contextmanager
def redirected_output(lines: deque[str]) -> Iterator[TerminalScreen]:
    """Give the terminal to the screen; lines that are printed meanwhile go to `lines`."""
    attributes = None
    with contextlib.suppress(OSError, termios.error):
        attributes = termios.tcgetattr(0)
    originals = [os.dup(number) for number in (1, 2)]
    screen = TerminalScreen(os.dup(1))
    reading, writing = os.pipe()
    streams: Any = sys
    before = (streams.__stdout__, streams.__stderr__)
    _flush()
    for number in (1, 2):
        os.dup2(writing, number)
    os.close(writing)
    streams.__stdout__ = streams.__stderr__ = screen._file
    reader = threading.Thread(
        target=_read_lines, args=(reading, lines), name="printed", daemon=True
    )
    reader.start()
    # Textual would use a size from the environment instead of the terminal's.
    sizes = {name: os.environ.pop(name, None) for name in ("COLUMNS", "LINES")}
    try:
        yield screen
    finally:
        os.environ.update({name: size for name, size in sizes.items() if size is not None})
        _flush()
        for number, copy in zip((1, 2), originals, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        streams.__stdout__, streams.__stderr__ = before
        # The pipe has ended, unless a child process still has it open.
        reader.join(0.5)
        screen.close()
        if attributes is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, attributes)


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

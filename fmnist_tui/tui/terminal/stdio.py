"""The terminal lent to the dashboard: everything else that prints goes into its log pane.

C++ code, compile workers and warnings write to the descriptors 1 and 2, in the middle of
whatever is on the screen. While the dashboard runs these lead into a pipe; the screen has
a descriptor of its own. Leaving restores both, and the terminal's modes, whatever happened.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import termios
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

# What a dead screen may have left switched on: mouse, paste and focus reports, key
# protocol, hidden cursor, no line wrap, the other screen.
RESTORE = (
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?2004l\x1b[?1004l\x1b[?2048l"
    "\x1b[<u\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m"
)
_LINE_LIMIT = 4000


class TerminalScreen:
    """The terminal as the dashboard has it."""

    def __init__(self, descriptor: int) -> None:
        self._file = io.TextIOWrapper(io.FileIO(descriptor, "w"), "utf-8", write_through=True)

    def cut(self) -> None:
        """Let what is drawn from now on go nowhere: the terminal is gone, and a write that
        fails would end the thread that everything drawn waits for."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)

    def reset(self) -> None:
        """Undo what a screen that ended in the middle may have left of itself."""
        with contextlib.suppress(OSError):
            os.write(self._file.fileno(), RESTORE.encode())

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.close()


@contextlib.contextmanager
def lent(lines: deque[str]) -> Iterator[TerminalScreen]:
    """Give the terminal to the screen, and to `lines` what is printed meanwhile."""
    attributes = _attributes()
    kept = [os.dup(number) for number in (1, 2)]
    screen = TerminalScreen(os.dup(1))
    reading, writing = os.pipe()
    named: Any = sys
    before = (named.__stdout__, named.__stderr__)
    _flush()
    for number in (1, 2):
        os.dup2(writing, number)
    os.close(writing)
    named.__stdout__ = named.__stderr__ = screen._file
    reader = threading.Thread(target=_read, args=(reading, lines), name="printed", daemon=True)
    reader.start()
    # A size kept in the environment would be believed before the terminal itself, for ever.
    sizes = {name: os.environ.pop(name, None) for name in ("COLUMNS", "LINES")}
    try:
        yield screen
    finally:
        os.environ.update({name: size for name, size in sizes.items() if size is not None})
        _flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        named.__stdout__, named.__stderr__ = before
        # The pipe is at its end now, unless a child still holds it.
        reader.join(0.5)
        screen.close()
        if attributes is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, attributes)


def _flush() -> None:
    for file in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            file.flush()


def _attributes() -> list[Any] | None:
    try:
        return termios.tcgetattr(0)
    except (OSError, termios.error):
        return None


def _read(descriptor: int, lines: deque[str]) -> None:
    rest = b""
    while True:
        try:
            block = os.read(descriptor, 65536)
        except OSError:
            break
        if not block:
            break
        *whole, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            if line.strip():
                lines.append(line[:_LINE_LIMIT].decode("utf-8", "replace"))
        if len(rest) > _LINE_LIMIT:
            lines.append(rest[:_LINE_LIMIT].decode("utf-8", "replace"))
            rest = b""
    if rest.strip():
        lines.append(rest.decode("utf-8", "replace"))
    os.close(descriptor)

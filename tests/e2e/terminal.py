"""The program in a real terminal: keys in, the screen as a person sees it out."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pexpect
import pyte

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "space": " ",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "pagedown": "\x1b[6~",
    "pageup": "\x1b[5~",
    "ctrl+c": "\x03",
    "ctrl+p": "\x10",
}
# The private modes that a program may switch and must switch back.
MODE = re.compile(rb"\x1b\[\?(\d+(?:;\d+)*)([hl])")
AT_REST = {7, 25}
LIMIT = 60.0


class Terminal:
    """The program, or Python `code` that runs it after meddling with it, in a pty of its own."""

    def __init__(
        self,
        *words: str,
        env: dict[str, str],
        size: tuple[int, int] = (120, 36),
        code: str | None = None,
    ) -> None:
        columns, rows = size
        self.child = pexpect.spawn(
            sys.executable,
            [*(("-c", code) if code else ("-m", "fmnist_tui")), *words],
            dimensions=(rows, columns),
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env},
            timeout=None,
        )
        self.child.delaybeforesend = None
        self.raw = bytearray()
        self._attributes: list[Any] = termios.tcgetattr(self.child.child_fd)
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._lost = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        if not self._lost:
            self.child.close(force=True)

    def lose(self) -> None:
        """The terminal goes: the window is closed, the line drops."""
        self._lost = True
        self._reader.join()
        self.child.ptyproc.fileobj.close()
        self.child.ptyproc.closed = self.child.closed = True

    def _read(self) -> None:
        while not self._lost:
            try:
                data = self.child.read_nonblocking(65536, timeout=0.2)
            except pexpect.TIMEOUT:
                continue
            except (pexpect.EOF, OSError, ValueError):
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    @property
    def pid(self) -> int:
        return int(self.child.pid)

    def text(self) -> str:
        with self._lock:
            return "\n".join(self._screen.display)

    def until(self, pattern: str, seconds: float = LIMIT) -> re.Match[str]:
        """Wait until the screen's text matches."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.text())
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"never saw {pattern!r}; the screen was:\n{self.text()}")

    def press(self, *keys: str, pause: float = 0.02) -> None:
        for key in keys:
            self.child.send(KEYS.get(key, key))
            time.sleep(pause)

    def paste(self, text: str) -> None:
        self.child.send(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            self._screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def ended(self, seconds: float = LIMIT) -> int:
        """Wait for the end; the exit status (128 and the number for a signal)."""
        end = time.monotonic() + seconds
        while self.child.isalive():
            assert time.monotonic() < end, f"it did not end; the screen was:\n{self.text()}"
            time.sleep(0.02)
        self._reader.join(2)
        if self.child.exitstatus is not None:
            return int(self.child.exitstatus)
        return 128 + int(self.child.signalstatus or 0)

    def is_restored(self) -> bool:
        """Whether the terminal is as it was: line modes, screen, cursor, mouse, paste, keys."""
        modes = set(AT_REST)
        for numbers, switch in MODE.findall(bytes(self.raw)):
            for number in map(int, numbers.split(b";")):
                (modes.add if switch == b"h" else modes.discard)(number)
        pushed = self.raw.count(b"\x1b[>") - self.raw.count(b"\x1b[<u")
        try:
            same = termios.tcgetattr(self.child.child_fd)[:4] == self._attributes[:4]
        except (termios.error, OSError, ValueError):
            same = True
        return modes == AT_REST and pushed <= 0 and same


def dashboard_env(folder: Path) -> dict[str, str]:
    """Folders of its own for a dashboard."""
    return {
        "FMNIST_TUI_RUNS": str(folder / "runs"),
        "FMNIST_TUI_DATA": str(folder / "data"),
        "FMNIST_TUI_SETTINGS": str(folder / "settings"),
        "FMNIST_TUI_OFFLINE": "1",
        "LANG": "C.UTF-8",
    }

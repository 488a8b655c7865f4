"""The program in a real terminal: sends keys and reads the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pyte

from tests.e2e.fork_server import ForkedProcess
from tests.e2e.screen import Screen
from tests.e2e.support import FORK_SERVER, LIMIT

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
# The private modes that a program may switch and must restore; those that are on by default.
MODE = re.compile(rb"\x1b\[\?(\d+(?:;\d+)*)([hl])")
DEFAULT_MODES = {7, 25}
# A keyboard mode, which must be taken back with `ESC [ < u`.
PUSHED = re.compile(rb"\x1b\[>\d*u")


class Terminal:
    """The program in a pty: forked from the fork server, where Python `code` may patch it first,
    or in a new interpreter (`cold`). Or another `command`."""

    def __init__(
        self,
        *words: str,
        env: dict[str, str],
        size: tuple[int, int] = (120, 36),
        code: str | None = None,
        cold: bool = False,
        command: Sequence[str] = (),
    ) -> None:
        self._our_end, child_end = pty.openpty()
        self._attributes: list[Any] = termios.tcgetattr(self._our_end)
        self._set_size(*size)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FMNIST_TUI_")}
        env = {**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env}
        self.process: subprocess.Popen[bytes] | ForkedProcess
        if command or cold:
            self.process = subprocess.Popen(
                command or [sys.executable, "-m", "fmnist_tui", *words],
                stdin=child_end,
                stdout=child_end,
                stderr=child_end,
                env=env,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
            os.close(child_end)
        else:
            self.process = FORK_SERVER.start_in(child_end, words, env, code)
        self.raw = bytearray()
        self._screen = Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._is_closed = False
        self._is_reading = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            self.process.kill()
            self.process.wait()
        if not self._is_closed:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed or the connection drops."""
        self._is_closed = True
        self._reader.join()
        os.close(self._our_end)

    def stop_reading(self) -> None:
        """Read nothing more, as a terminal that hangs: what the program writes fills up."""
        self._is_reading = False

    def read_on(self) -> None:
        self._is_reading = True

    def _read(self) -> None:
        while not self._is_closed:
            if not self._is_reading:
                time.sleep(0.02)
                continue
            if not select.select([self._our_end], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._our_end, 65536)
            except OSError:
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    def _set_size(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._our_end, termios.TIOCSWINSZ, size)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def text(self) -> str:
        with self._lock:
            return self._screen.text()

    def until(self, pattern: str, seconds: float = LIMIT) -> re.Match[str]:
        """Wait until the screen's text matches."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            has_ended = not self.alive
            if has_ended:
                self._reader.join(2)
            match = re.search(pattern, self.text())
            if match:
                return match
            if has_ended:
                break
            time.sleep(0.02)
        raise AssertionError(f"never saw {pattern!r}; {self._describe()}")

    def _describe(self) -> str:
        """The screen, or how the program ended: a smaller terminal may have cut that off."""
        if self.alive:
            return f"the screen was:\n{self.text()}"
        status = self.wait_for_exit()
        last = bytes(self.raw).rpartition(b"\x1b[?1049l")[2].decode(errors="replace")
        return f"the program ended with status {status}:\n{last}"

    def until_gone(self, text: str, seconds: float = LIMIT) -> None:
        """Wait until the screen no longer has this text."""
        end = time.monotonic() + seconds
        while text in self.text():
            assert time.monotonic() < end, f"{text!r} stayed; the screen was:\n{self.text()}"
            time.sleep(0.02)

    def press(self, *keys: str, pause: float = 0.02) -> None:
        for key in keys:
            self.type(KEYS.get(key, key))
            time.sleep(pause)

    def paste(self, text: str) -> None:
        self.type(f"\x1b[200~{text}\x1b[201~")

    def type(self, text: str) -> None:
        self.send(text.encode())

    def send(self, data: bytes) -> None:
        """Send these bytes; more than the program has read yet make this wait."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._our_end, rest) :]

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def wait_for_exit(self, seconds: float = LIMIT) -> int:
        """Wait for the process to end; returns its exit status (128 + number for a signal)."""
        end = time.monotonic() + seconds
        while (status := self.process.poll()) is None:
            assert time.monotonic() < end, f"still running; the screen was:\n{self.text()}"
            time.sleep(0.02)
        self._reader.join(2)
        return status if status >= 0 else 128 - status

    def is_restored(self) -> bool:
        """Whether line modes, screen, title, cursor, mouse, paste and keyboard modes are
        restored."""
        modes = set(DEFAULT_MODES)
        for numbers, switch in MODE.findall(bytes(self.raw)):
            for number in map(int, numbers.split(b";")):
                (modes.add if switch == b"h" else modes.discard)(number)
        pushed_keyboard_modes = len(PUSHED.findall(self.raw)) - self.raw.count(b"\x1b[<u")
        saved_titles = self.raw.count(b"\x1b[22;2t") - self.raw.count(b"\x1b[23;2t")
        try:
            same = termios.tcgetattr(self._our_end)[:4] == self._attributes[:4]
        except (termios.error, OSError):
            same = True
        is_left = pushed_keyboard_modes <= 0 and saved_titles <= 0
        return modes == DEFAULT_MODES and is_left and same


def dashboard_env(folder: Path) -> dict[str, str]:
    """The environment of a dashboard whose files are in this folder."""
    return {
        "FMNIST_TUI_RUNS": str(folder / "runs"),
        "FMNIST_TUI_DATA": str(folder / "data"),
        "FMNIST_TUI_SETTINGS": str(folder / "settings"),
        "FMNIST_TUI_OFFLINE": "1",
        "LANG": "C.UTF-8",
    }

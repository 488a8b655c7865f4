"""One connection's dashboard: a process that speaks the packets of Textual's web driver.

textual-serve's own service starts it through a shell and waits for its end without a limit. Here
the process is started directly, and stopped in steps that leave time to hand a run over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

from fmnist_tui.util.errors import format_error
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text

# What the web driver writes before the first packet
_READY = b"__GANGLION__\n"
_DATA, _META = b"D", b"M"
# A process that ignores the end of its input for so long gets SIGHUP.
_HANGUP_SECONDS = 10.0
_LAST_MESSAGE_SECONDS = 0.5
_MAX_MESSAGES = 20
_BLOCK = 1 << 16
_MIN_CELLS, _MAX_CELLS = 1, 1000


# The terminal in the browser, whatever the server's own terminal is
_TERMINAL = {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
    "PYTHONIOENCODING": "utf-8",
}


class DashboardProcess:
    """`on_message` gets the lines that the dashboard writes to standard error."""

    def __init__(self, on_message: Callable[[str], None]) -> None:
        self._on_message = on_message
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._messages: deque[str] = deque(maxlen=_MAX_MESSAGES)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self, words: Sequence[str], columns: int, rows: int) -> None:
        """Start a dashboard of this size, in a session of its own: Ctrl-C on the server's
        terminal does not reach it."""
        size = f"--in-browser={_clamp(columns)}x{_clamp(rows)}"
        inherited = {name: os.environ[name] for name in os.environ.keys() - {"COLUMNS", "LINES"}}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(*program_command(), *words, size),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,
                env=inherited | _TERMINAL,
            )
        except OSError as error:
            self._report(f"the dashboard could not be started: {format_error(error)}")
            return
        self._reader = asyncio.create_task(self._read_messages(self._process))

    async def output(self) -> AsyncGenerator[bytes, None]:
        """What the dashboard draws until it ends, or its messages if it could not start."""
        stdout = self._process.stdout if self._process is not None else None
        if stdout is None or await stdout.readline() != _READY:
            if self._reader is not None:
                await self._reader
            yield "\r\n".join(self._messages or ["the dashboard did not start"]).encode()
            return
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await stdout.readexactly(1) == _DATA:
                size = int.from_bytes(await stdout.readexactly(4), "big")
                yield await stdout.readexactly(size)

    async def send_input(self, text: str) -> None:
        """Pass on keys and mouse events."""
        await self._send(_DATA, text)

    async def resize(self, columns: int, rows: int) -> None:
        size = {"type": "resize", "width": _clamp(columns), "height": _clamp(rows)}
        await self._send(_META, json.dumps(size))

    async def set_focus(self, has_focus: bool) -> None:
        await self._send(_META, json.dumps({"type": "focus" if has_focus else "blur"}))

    async def stop(self, seconds: float) -> bool:
        """Close the dashboard's input and wait until it has ended; whether it ended by itself.
        After `seconds` it is killed with all its children."""
        process = self._process
        if process is None:
            return True
        if process.stdin is not None:
            process.stdin.close()
        drain = asyncio.create_task(_drain(process))
        has_ended = True
        try:
            if not await _wait_for_exit(process, min(seconds, _HANGUP_SECONDS)):
                _send_signal(process, signal.SIGHUP)
                has_ended = await _wait_for_exit(process, max(0.0, seconds - _HANGUP_SECONDS))
        finally:
            if process.returncode is None:
                has_ended = False
                _send_signal(process, signal.SIGKILL, group=True)
                await process.wait()
            drain.cancel()
            if self._reader is not None:
                # The last messages are there already; a surviving child may keep the pipe open.
                await asyncio.wait({self._reader}, timeout=_LAST_MESSAGE_SECONDS)
                self._reader.cancel()
        return has_ended

    async def _send(self, kind: bytes, text: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        # A character that is none is dropped: a `?` in its place would be a key.
        data = text.encode("utf-8", "ignore")
        if not data:
            return  # to the driver's parser, empty input is the end of all input
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(kind + len(data).to_bytes(4, "big") + data)
            await self._process.stdin.drain()

    async def _read_messages(self, process: Process) -> None:
        assert process.stderr is not None
        rest = b""
        while block := await process.stderr.read(_BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            rest = rest[-_BLOCK:]
            for line in lines:
                if text := safe_text(line.decode("utf-8", "replace").strip()):
                    self._report(text)

    def _report(self, text: str) -> None:
        self._messages.append(text)
        self._on_message(text)


def _clamp(cells: int) -> int:
    """A valid number of columns or rows."""
    return max(_MIN_CELLS, min(_MAX_CELLS, cells))


async def _drain(process: Process) -> None:
    """Read on, so that a full pipe does not keep the process from ending."""
    assert process.stdout is not None
    with contextlib.suppress(ConnectionError):
        while await process.stdout.read(_BLOCK):
            pass


async def _wait_for_exit(process: Process, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), seconds)
        return True
    return False


def _send_signal(process: Process, number: signal.Signals, *, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(process.pid, number)

"""A visitor's dashboard: a process of its own, spoken with in the packets of Textual's web driver.

textual-serve's own service starts it by a shell and waits for its end without limit; here
nothing stands between, and the end comes in steps that leave a run time to be handed over.
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

from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text

# What the web driver writes before the first packet.
_READY = b"__GANGLION__\n"
_DATA, _META = b"D", b"M"
# A process that does not see the end of its input is told by a signal after so long.
_DEAF_SECONDS = 10.0
_LAST_SECONDS = 0.5
_LINES = 20
_BLOCK = 1 << 16
LEAST, MOST = 1, 1000


def environment() -> dict[str, str]:
    """What a dashboard in a browser is to know of its terminal, whatever ours is."""
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    return {
        **kept,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "PYTHONIOENCODING": "utf-8",
    }


class DashboardProcess:
    """Begun by `start`; `screen` is what it draws, `end` lets it go."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._process: Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self.said: deque[str] = deque(maxlen=_LINES)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self, words: Sequence[str], columns: int, rows: int) -> None:
        """Begin a dashboard of this size. It has a session of its own: what ends the server
        by the keyboard does not end it too."""
        size = f"--in-browser={within(columns)}x{within(rows)}"
        self._process = await asyncio.create_subprocess_exec(
            *(*program_command(), *words, size),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
            env=environment(),
        )
        self._listener = asyncio.create_task(self._listen(self._process))

    async def screen(self) -> AsyncGenerator[bytes, None]:
        """What the dashboard draws, until it ends; or else why it could not be opened."""
        if self._process is None or self._process.stdout is None:
            return
        out = self._process.stdout
        if await out.readline() != _READY:
            if self._listener is not None:
                await self._listener
            yield "\r\n".join(self.said or ["the dashboard did not open"]).encode()
            return
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await out.readexactly(1) == _DATA:
                size = int.from_bytes(await out.readexactly(4), "big")
                yield await out.readexactly(size)

    async def typed(self, text: str) -> None:
        """Keys, and what the mouse does."""
        await self._send(_DATA, text.encode("utf-8", "replace"))

    async def resized(self, columns: int, rows: int) -> None:
        size = {"type": "resize", "width": within(columns), "height": within(rows)}
        await self._send(_META, json.dumps(size).encode())

    async def looked_at(self, is_so: bool) -> None:
        """Whether the page has the focus."""
        await self._send(_META, json.dumps({"type": "focus" if is_so else "blur"}).encode())

    async def end(self, seconds: float) -> bool:
        """Let the dashboard go, by the end of its input, and wait until it has gone; whether it
        went by itself. One that takes longer is killed, with all it has started."""
        process = self._process
        if process is None:
            return True
        if process.stdin is not None:
            process.stdin.close()
        drained = asyncio.create_task(_drain(process))
        by_itself = True
        try:
            if not await _gone(process, min(seconds, _DEAF_SECONDS)):
                _signal(process, signal.SIGHUP)
                by_itself = await _gone(process, max(0.0, seconds - _DEAF_SECONDS))
        finally:
            if process.returncode is None:
                by_itself = False
                _signal(process, signal.SIGKILL, group=True)
                await process.wait()
            drained.cancel()
            if self._listener is not None:
                # Its last words are there already; a child that lives on may hold the other end.
                await asyncio.wait({self._listener}, timeout=_LAST_SECONDS)
                self._listener.cancel()
        return by_itself

    async def _send(self, kind: bytes, data: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(kind + len(data).to_bytes(4, "big") + data)
            await self._process.stdin.drain()

    async def _listen(self, process: Process) -> None:
        """Pass on what it says besides its screen: what became of its run."""
        assert process.stderr is not None
        rest = b""
        while block := await process.stderr.read(_BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            rest = rest[-_BLOCK:]
            for line in lines:
                text = safe_text(line.decode("utf-8", "replace").strip())
                if text:
                    self.said.append(text)
                    self._told(text)


def within(cells: int) -> int:
    """A number of columns or rows that a screen can have."""
    return max(LEAST, min(MOST, cells))


async def _drain(process: Process) -> None:
    """Read on, so that nothing it still draws keeps it from ending."""
    assert process.stdout is not None
    with contextlib.suppress(ConnectionError):
        while await process.stdout.read(_BLOCK):
            pass


async def _gone(process: Process, seconds: float) -> bool:
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _signal(process: Process, number: signal.Signals, *, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(process.pid, number)

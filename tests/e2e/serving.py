"""The server as a process, and clients without a browser."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil
import pyte

from tests.e2e.fork_server import COLD, ForkedProcess
from tests.e2e.screen import Screen
from tests.e2e.support import FORK_SERVER, LIMIT, Home, events, wait_for
from tests.e2e.terminal import dashboard_env

# Settings of a training that does not end by itself
LONG = {
    "FMNIST_TUI_DATASET": "sketches",
    "FMNIST_TUI_MODEL": "linear",
    "FMNIST_TUI_LIMIT": "1000",
    "FMNIST_TUI_BATCH_SIZE": "64",
    "FMNIST_TUI_THREADS": "1",
    "FMNIST_TUI_EPOCHS": "100000",
    "FMNIST_TUI_PATIENCE": "0",
    "OMP_NUM_THREADS": "1",
}
UPGRADE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
SIZE = (120, 36)


class Server:
    """A running `fmnist-tui serve`; `url` and `token` are those it printed. It and its dashboards
    are forked, or start in new interpreters (COLD)."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        home = Home(folder)
        home.runs.mkdir(exist_ok=True)
        self.runs = home.runs
        self.log = folder / "serve.log"
        arguments = ("serve", "--port", "0", "--json", *words)
        variables = {**home.environment, **dashboard_env(folder), **environment}
        self.process: ForkedProcess | subprocess.Popen[str]
        if COLD in environment:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fmnist_tui", *arguments],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self.log.open("w"),
                text=True,
            )
        else:
            self.process = FORK_SERVER.start(arguments, variables, errors=self.log)
        assert self.process.stdout is not None
        output = ""
        while not output.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, self.log.read_text()
            output += line
        document = json.loads(output)
        self.url, self.token, self.port = document["url"], document["token"], document["port"]
        self.host = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        dashboards = self.dashboards()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        for process in dashboards:
            if process.is_running():
                process.kill()

    @property
    def cookie(self) -> str:
        return f"fmnist-tui-{self.port}={self.token}"

    def dashboards(self) -> list[psutil.Process]:
        """The dashboard processes, even without their parent."""
        dashboards = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if f"--runs={self.runs}" in words and any("--in-browser" in word for word in words):
                dashboards.append(process)
        return dashboards

    def stop(self, signal_number: signal.Signals, seconds: float = LIMIT) -> int:
        """Send the server a signal; returns its exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(seconds)

    def request(self, path: str, *headers: tuple[str, str], method: str = "GET") -> tuple[int, str]:
        """Send one request with only these headers; returns the status and the response."""
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        text = "\r\n".join([*lines, "Connection: close", "", ""])
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT) as connection:
            connection.sendall(text.encode("latin-1"))
            response = b""
            while block := connection.recv(65536):
                response += block
                if response.startswith(b"HTTP/1.1 101"):
                    break
        text = response.decode("utf-8", "replace")
        return int(text.split(" ", 2)[1]), text

    def events(self) -> list[dict[str, Any]]:
        """All events of the only run."""
        [record] = self.runs.glob("*/events.jsonl")
        return events(record.parent)

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        if not list(self.runs.glob("*/events.jsonl")):
            return []
        return [event for event in self.events() if event["is"] == kind]

    def stop_run(self) -> None:
        """Stop the process that has taken the run over."""
        pid = self.events_of("RunStarted")[-1]["pid"]
        psutil.Process(pid).terminate()
        wait_for(lambda: self.events()[-1]["is"] == "RunEnded")


class TerminalView:
    """A terminal's screen, drawn from received bytes."""

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        self._screen = Screen(*size)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    @property
    def text(self) -> str:
        return self._screen.text()


class SocketClient:
    """A client without a browser: only the websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.received = bytearray()
        self._view, self._viewed = TerminalView(), 0
        # Without a reader the server's pings would not be answered.
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            assert message.type is aiohttp.WSMsgType.BINARY, message
            self.received += message.data

    @property
    def text(self) -> str:
        """The text on the screen. Drawing it takes some CPU time."""
        new = bytes(self.received[self._viewed :])
        self._viewed += len(new)
        self._view.feed(new)
        return self._view.text

    async def until(self, words: str) -> None:
        """Wait until the screen shows this text."""
        end, length = time.monotonic() + LIMIT, -1
        while length == len(self.received) or words not in self.text:
            length = len(self.received)
            assert not self._reader.done(), f"closed before {words!r}:\n{self.text}"
            assert time.monotonic() < end, f"never saw {words!r}:\n{self.text}"
            await asyncio.sleep(0.05)

    async def until_received(self, words: bytes) -> None:
        """Wait until these bytes have come, without drawing them."""
        end = time.monotonic() + LIMIT
        while words not in self.received:
            assert not self._reader.done(), f"closed before {words!r}"
            assert time.monotonic() < end, f"never received {words!r}"
            await asyncio.sleep(0.05)

    async def wait_for_close(self) -> None:
        """Wait until the server has closed the connection."""
        await asyncio.wait_for(self._reader, LIMIT)

    async def press(self, keys: str) -> None:
        await self.socket.send_json(["stdin", keys])

    def disconnect(self) -> None:
        """Break the connection without closing it, as a killed browser does."""
        connection = self.socket.get_extra_info("socket")
        connection.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def connect_clients(server: Server, count: int) -> AsyncIterator[list[SocketClient]]:
    """Several clients at once."""
    columns, rows = SIZE
    headers = {"Cookie": server.cookie, "Origin": f"http://{server.host}"}
    address = f"ws://{server.host}/socket?width={columns}&height={rows}"
    async with aiohttp.ClientSession(headers=headers) as session:
        clients = [
            SocketClient(await session.ws_connect(address, max_msg_size=0)) for _ in range(count)
        ]
        yield clients
        for client in clients:
            await client.socket.close()

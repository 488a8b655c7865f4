"""A real browser, driven by its own protocol: Debian's chromium without a window.

`needs_chromium` marks what cannot be tested without it. The protocol goes over a websocket
on loopback; the profile is a new folder each time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium")
LIMIT = 30.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--mute-audio",
    "--remote-debugging-port=0",
    "about:blank",
)


Test = TypeVar("Test", bound=Callable[..., Any])


def needs_chromium(test: Test) -> Test:
    """Marks a test that looks at something in the browser."""
    skipped = pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")
    marked: Test = pytest.mark.apt(skipped(test))
    return marked


class Page:
    """A tab: what it has asked for, what it has complained of, and a hand on it."""

    def __init__(self, session: aiohttp.ClientSession, socket: Any) -> None:
        self._session, self._socket = session, socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.complaints: list[str] = []
        # what websockets have brought, in bytes
        self.received = bytearray()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._heard(said["method"], said["params"])

    def _heard(self, method: str, told: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(told["url"])
        elif method == "Network.webSocketFrameReceived" and told["response"]["opcode"] == 2:
            self.received += base64.b64decode(told["response"]["payloadData"])
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.complaints.append(str(told["args"]))

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol and its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        said = await asyncio.wait_for(answer, LIMIT)
        assert "error" not in said, (method, said)
        result: dict[str, Any] = said["result"]
        return result

    async def view(self, width: int, height: int, scheme: str = "light") -> Self:
        """Look through a window of this size, with a liking for light or dark."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.send("Emulation.setEmulatedMedia", features=features)
        return self

    async def open(self, url: str) -> Self:
        """Go there, and wait until it is loaded."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return self

    async def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        said = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def until(self, expression: str, seconds: float = LIMIT) -> None:
        """Wait until an expression is true in the page."""
        end = asyncio.get_running_loop().time() + seconds
        while not await self.ask(expression):
            assert asyncio.get_running_loop().time() < end, f"never true: {expression}"
            await asyncio.sleep(0.05)

    async def press(self, text: str) -> None:
        """Type keys, one after the other."""
        for key in text:
            for kind in ("keyDown", "keyUp"):
                typed = {"text": key} if kind == "keyDown" else {}
                code = ord(key.upper())
                await self.send(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=key,
                    windowsVirtualKeyCode=code,
                    **typed,
                )

    async def shot(self, path: Path, *, whole: bool = False) -> None:
        """A picture of what is seen, or of the page as a whole."""
        said = await self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(said["data"]))

    async def close(self) -> None:
        """Close the tab, as its cross would."""
        with contextlib.suppress(ConnectionError, AssertionError):
            await self.send("Page.close")
        await self.leave()

    async def leave(self) -> None:
        self._reader.cancel()
        await self._socket.close()


class Browser:
    """The browser under way; its tabs are opened by `page`."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self._base, self._session = f"http://127.0.0.1:{port}", session
        self._pages: list[Page] = []

    async def page(self) -> Page:
        """A new, empty tab."""
        async with self._session.put(f"{self._base}/json/new?about:blank") as answer:
            where = (await answer.json(content_type=None))["webSocketDebuggerUrl"]
        socket = await self._session.ws_connect(where, max_msg_size=0)
        page = Page(self._session, socket)
        self._pages.append(page)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.send(f"{domain}.enable")
        return page

    async def leave(self) -> None:
        for page in self._pages:
            await page.leave()


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Chromium with an empty profile, gone with all its processes afterwards."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            f"--user-data-dir={profile}",
            *_FLAGS,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                found = Browser(port, session)
                try:
                    yield found
                finally:
                    await found.leave()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _port(file: Path) -> int:
    """Which port the browser has taken, once it says so."""
    end = asyncio.get_running_loop().time() + LIMIT
    while True:
        with contextlib.suppress(OSError, IndexError, ValueError):
            return int(file.read_text().splitlines()[0])
        assert asyncio.get_running_loop().time() < end, "the browser does not start"
        await asyncio.sleep(0.05)

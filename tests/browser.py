"""A real browser: headless chromium, driven through its DevTools protocol.

`needs_chromium` marks tests that need it. The profile is a new folder each time.
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
TIMEOUT = 90.0
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
    """Mark a test that needs a browser."""
    skipped = pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")
    marked: Test = pytest.mark.apt(skipped(test))
    return marked


class Page:
    """A tab, with its requests, errors and warnings."""

    def __init__(self, session: aiohttp.ClientSession, socket: Any) -> None:
        self._session, self._socket = session, socket
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.errors: list[str] = []
        # Bytes received through websockets
        self.received = bytearray()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            reply = json.loads(message.data)
            if "id" in reply:
                self._replies.pop(reply["id"]).set_result(reply)
            else:
                self._on_event(reply["method"], reply["params"])

    def _on_event(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(params["url"])
        elif method == "Network.webSocketFrameReceived" and params["response"]["opcode"] == 2:
            self.received += base64.b64decode(params["response"]["payloadData"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(str(params["args"]))

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol; returns its result."""
        number = next(self._numbers)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        message = await asyncio.wait_for(reply, TIMEOUT)
        assert "error" not in message, (method, message)
        result: dict[str, Any] = message["result"]
        return result

    async def set_view(self, width: int, height: int, scheme: str = "light") -> Self:
        """Set the size of the window and the preferred colour scheme."""
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
        """Load a page, and wait until it is complete."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return self

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        reply = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    async def until(self, expression: str, seconds: float = TIMEOUT) -> None:
        """Wait until an expression is true in the page."""
        end = asyncio.get_running_loop().time() + seconds
        while not await self.evaluate(expression):
            assert asyncio.get_running_loop().time() < end, f"never true: {expression}"
            await asyncio.sleep(0.05)

    async def press(self, text: str) -> None:
        """Type the keys one after another."""
        for key in text:
            for kind in ("keyDown", "keyUp"):
                text_field = {"text": key} if kind == "keyDown" else {}
                code = ord(key.upper())
                await self.send(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=key,
                    windowsVirtualKeyCode=code,
                    **text_field,
                )

    async def screenshot(self, path: Path) -> None:
        """Save a screenshot of the window."""
        reply = await self.send("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(reply["data"]))

    async def close(self) -> None:
        """Close the tab, as its button does."""
        with contextlib.suppress(ConnectionError, AssertionError):
            await self.send("Page.close")
        await self.disconnect()

    async def disconnect(self) -> None:
        self._reader.cancel()
        await self._socket.close()


class Browser:
    """A running browser; `page` opens a tab."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self._base, self._session = f"http://127.0.0.1:{port}", session
        self._pages: list[Page] = []

    async def page(self) -> Page:
        """A new, empty tab."""
        async with self._session.put(f"{self._base}/json/new?about:blank") as response:
            url = (await response.json(content_type=None))["webSocketDebuggerUrl"]
        socket = await self._session.ws_connect(url, max_msg_size=0)
        page = Page(self._session, socket)
        self._pages.append(page)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.send(f"{domain}.enable")
        return page

    async def disconnect(self) -> None:
        for page in self._pages:
            await page.disconnect()


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Chromium with an empty profile, killed with all its processes afterwards."""
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
            port = await _read_port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                chromium = Browser(port, session)
                try:
                    yield chromium
                finally:
                    await chromium.disconnect()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _read_port(file: Path) -> int:
    """Wait for the file with the port of the browser; returns the port."""
    end = asyncio.get_running_loop().time() + TIMEOUT
    while True:
        with contextlib.suppress(OSError, IndexError, ValueError):
            return int(file.read_text().splitlines()[0])
        assert asyncio.get_running_loop().time() < end, "the browser did not start"
        await asyncio.sleep(0.05)

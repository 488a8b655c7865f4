"""A server in this process: what it closes, serves and says."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from fmnist_tui.serve import dashboard_process, request_deadline, routes, server
from fmnist_tui.serve.auth import RequestGuard
from fmnist_tui.serve.connections import ConnectionPool
from fmnist_tui.serve.dashboard_process import DashboardProcess
from fmnist_tui.serve.request_deadline import RequestDeadline
from fmnist_tui.serve.routes import build_app
from tests.e2e.serving import UPGRADE

TOKEN = "t" * 20


async def no_command() -> list[str]:
    return []


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[int, web.AppRunner]]:
    """A running server: its port, and what runs it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    guard, deadline = RequestGuard.for_address(TOKEN, "127.0.0.1", port), RequestDeadline()
    pool = ConnectionPool(1, lambda _: None)
    runner = web.AppRunner(build_app(guard, pool, deadline, no_command))
    await runner.setup()
    await web.SockSite(runner, listener).start()
    watching = asyncio.create_task(deadline.watch(runner))
    try:
        yield port, runner
    finally:
        watching.cancel()
        await runner.cleanup()


def request(port: int, *lines: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", f"Host: 127.0.0.1:{port}", *lines, "", ""]).encode()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: 127"], ids=["nothing", "a part"])
async def test_a_connection_without_a_complete_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(request_deadline, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(request_deadline, "CHECK_SECONDS", 0.02)
    async with serving() as (port, _):
        patient, patient_writer = await asyncio.open_connection("127.0.0.1", port)
        cookie = f"Cookie: fmnist-tui-{port}={TOKEN}"
        patient_writer.write(request(port, cookie))
        assert (await patient.readline()).startswith(b"HTTP/1.1 200")
        silent, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await asyncio.wait_for(silent.read(), 20) == b""
        await patient.readuntil(b"</html>")
        # One that has made a request is kept for the next.
        patient_writer.write(request(port, cookie))
        assert (await patient.readuntil(b"200 OK")).endswith(b"HTTP/1.1 200 OK")
        patient_writer.close()
        writer.close()


async def test_a_refused_connection_is_not_kept_open() -> None:
    async with serving() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(port))
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 403")
        writer.close()


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 2000, "%00", "../pages.py", "js", ""])
async def test_what_is_no_file_of_the_page_is_not_found(name: str) -> None:
    async with serving() as (port, _), aiohttp.ClientSession() as session:
        headers = {"Cookie": f"fmnist-tui-{port}={TOKEN}"}
        async with session.get(
            f"http://127.0.0.1:{port}/static/{name}", headers=headers
        ) as response:
            assert response.status == 404


async def test_a_page_that_has_stopped_reading_is_left_without_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def start(*_: object) -> None:
        pass

    async def endless(_: DashboardProcess) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * (1 << 20)

    monkeypatch.setattr(DashboardProcess, "start", start)
    monkeypatch.setattr(DashboardProcess, "output", endless)
    monkeypatch.setattr(routes, "_HEARTBEAT_SECONDS", 0.1)
    async with serving() as (port, runner):
        connection = socket.create_connection(("127.0.0.1", port))
        cookie, origin = f"Cookie: fmnist-tui-{port}={TOKEN}", f"Origin: http://127.0.0.1:{port}"
        text = request(port, cookie, origin, *(": ".join(header) for header in UPGRADE))
        connection.sendall(text.replace(b"GET / ", b"GET /socket "))
        async with asyncio.timeout(20):
            while not runner.server or not runner.server.connections:
                await asyncio.sleep(0.01)
            while runner.server.connections:
                await asyncio.sleep(0.01)
        connection.close()


async def test_a_dashboard_that_cannot_be_started_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_process, "program_command", lambda: ["/no/such/program"])
    messages: list[str] = []
    dashboard = DashboardProcess(messages.append)
    await dashboard.start([], 80, 24)
    output = b"".join([block async for block in dashboard.output()])
    assert messages == [output.decode()]
    assert "the dashboard could not be started: No such file" in messages[0]
    assert await dashboard.stop(1.0)


def test_an_error_that_repeats_is_said_once_a_minute() -> None:
    messages: list[str] = []
    handler = server._MessageHandler(messages.append)
    for second in (0, 1, 59, 61, 62):
        for message in ("no files", "no memory"):
            record = logging.LogRecord("serve", logging.ERROR, "", 0, message, (), None)
            record.created += second
            handler.emit(record)
    assert messages == ["no files", "no memory"] * 2

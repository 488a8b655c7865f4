"""The routes: the page, its files from textual-serve, and the websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSMsgType, web

from fmnist_tui.serve import pages
from fmnist_tui.serve.auth import SOCKET_PATH, RequestGuard, add_security_headers
from fmnist_tui.serve.connections import ConnectionPool
from fmnist_tui.serve.dashboard_process import DashboardProcess
from fmnist_tui.serve.request_deadline import RequestDeadline

# The longest message of a page is a paste.
_MAX_MESSAGE = 1 << 20
_HEARTBEAT_SECONDS = 15.0
_CLOSE_SECONDS = 2.0
_DEFAULT_SIZE = (80, 24)
_STATIC = Path(textual_serve.__file__).parent / "static"

# The words of the command line that open a connection's dashboard
GetCommand = Callable[[], Awaitable[list[str]]]


def build_app(
    guard: RequestGuard, pool: ConnectionPool, deadline: RequestDeadline, get_command: GetCommand
) -> web.Application:
    app = web.Application(middlewares=[deadline.note_request, guard.check])
    sockets: set[web.WebSocketResponse] = set()

    async def index(request: web.Request) -> web.StreamResponse:
        if pool.is_full:
            return pages.limit_page(pool.limit)
        return pages.dashboard_page(f"ws://{request.host}{SOCKET_PATH}")

    async def connect(request: web.Request) -> web.StreamResponse:
        dashboard = await pool.acquire()
        if dashboard is None:
            return pages.limit_page(pool.limit)
        socket = web.WebSocketResponse(
            timeout=_CLOSE_SECONDS,
            heartbeat=_HEARTBEAT_SECONDS,
            max_msg_size=_MAX_MESSAGE,
            compress=False,
        )
        sockets.add(socket)
        try:
            await socket.prepare(request)
            await dashboard.start(await get_command(), *_terminal_size(request))
            await _relay(dashboard, socket)
        finally:
            sockets.discard(socket)
            pool.release(dashboard)
            if request.transport is not None:
                # Everything has been said. A page that stopped reading would keep it open.
                request.transport.abort()
        return socket

    async def close_sockets(_: web.Application) -> None:
        await asyncio.gather(*(socket.close() for socket in sockets))

    app.router.add_get("/", index)
    for path in pages.ASSETS:
        app.router.add_get(f"/{path.name}", partial(_send_file, path))
    # No path of a request ever becomes the path of a file.
    for path in (path for path in _STATIC.rglob("*") if path.is_file()):
        name = path.relative_to(_STATIC).as_posix()
        app.router.add_get(f"/static/{name}", partial(_send_file, path))
    app.router.add_get(SOCKET_PATH, connect)
    app.on_response_prepare.append(add_security_headers)
    app.on_shutdown.append(close_sockets)
    return app


async def _send_file(path: Path, _: web.Request) -> web.StreamResponse:
    return web.FileResponse(path)


async def _relay(dashboard: DashboardProcess, socket: web.WebSocketResponse) -> None:
    """Pass data both ways until the page disconnects or the dashboard ends."""

    async def send_output() -> None:
        with contextlib.suppress(ConnectionError):
            async for block in dashboard.output():
                await socket.send_bytes(block)
        await socket.close()

    sender = asyncio.create_task(send_output())
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await _handle_message(dashboard, socket, message.data)
    finally:
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sender


async def _handle_message(
    dashboard: DashboardProcess, socket: web.WebSocketResponse, text: str
) -> None:
    """Handle a message of textual-serve's script; anything else is ignored."""
    try:
        kind, *rest = json.loads(text)
        value: Any = rest[0] if rest else None
    except (ValueError, TypeError, RecursionError):
        return
    if kind == "stdin" and isinstance(value, str):
        await dashboard.send_input(value)
    elif kind == "resize" and isinstance(value, dict):
        columns, rows = value.get("width"), value.get("height")
        if isinstance(columns, int) and isinstance(rows, int):
            await dashboard.resize(columns, rows)
    elif kind in ("focus", "blur"):
        await dashboard.set_focus(kind == "focus")
    elif kind == "ping" and isinstance(value, (str, int, float)):
        await socket.send_json(["pong", value])


def _terminal_size(request: web.Request) -> tuple[int, int]:
    """Columns and rows of the terminal in the page, from the query."""
    try:
        return int(request.query["width"]), int(request.query["height"])
    except (KeyError, ValueError):
        return _DEFAULT_SIZE

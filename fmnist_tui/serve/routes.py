"""What can be asked for: the page, its files from textual-serve, and the websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSMsgType, web

from fmnist_tui.serve import pages
from fmnist_tui.serve.auth import RequestGuard, middleware, protect
from fmnist_tui.serve.connections import ConnectionPool
from fmnist_tui.serve.dashboard_process import DashboardProcess

SOCKET = "/socket"
# The longest message a page sends is what is pasted into it.
_MESSAGE = 1 << 20
_HEARTBEAT = 15.0
_CLOSE_SECONDS = 2.0
_USUAL = (80, 24)
_STATIC = Path(textual_serve.__file__).parent / "static"

# Which words of the command line open a visitor's dashboard
Opening = Callable[[], Awaitable[list[str]]]


def site(guard: RequestGuard, house: ConnectionPool, opening: Opening) -> web.Application:
    """The application behind the guard."""
    app = web.Application(middlewares=[middleware(guard, SOCKET)])
    sockets: set[web.WebSocketResponse] = set()

    async def index(request: web.Request) -> web.StreamResponse:
        if house.is_full:
            return pages.full(house.places)
        return pages.dashboard(f"ws://{request.host}{SOCKET}")

    async def socket(request: web.Request) -> web.StreamResponse:
        visitor = await house.admit()
        if visitor is None:
            return pages.full(house.places)
        answer = web.WebSocketResponse(
            timeout=_CLOSE_SECONDS, heartbeat=_HEARTBEAT, max_msg_size=_MESSAGE, compress=False
        )
        sockets.add(answer)
        try:
            await answer.prepare(request)
            await visitor.start(await opening(), *_asked(request))
            await _serve(visitor, answer)
        finally:
            sockets.discard(answer)
            house.dismiss(visitor)
        return answer

    async def close(_: web.Application) -> None:
        await asyncio.gather(*(answer.close() for answer in sockets))

    app.router.add_get("/", index)
    for part in pages.PARTS:
        app.router.add_get(f"/{part.name}", _file(part))
    app.router.add_get(SOCKET, socket)
    app.router.add_static("/static", _STATIC, show_index=False, follow_symlinks=False)
    app.on_response_prepare.append(protect)
    app.on_shutdown.append(close)
    return app


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def file(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return file


async def _serve(visitor: DashboardProcess, socket: web.WebSocketResponse) -> None:
    """Between the page and the dashboard, until one of them has gone."""

    async def show() -> None:
        with contextlib.suppress(ConnectionError):
            async for block in visitor.screen():
                await socket.send_bytes(block)
        await socket.close()

    showing = asyncio.create_task(show())
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await _heard(visitor, socket, message.data)
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing


async def _heard(visitor: DashboardProcess, socket: web.WebSocketResponse, text: str) -> None:
    """Do what the page says; whatever else comes is passed over."""
    try:
        what, *rest = json.loads(text)
        told: Any = rest[0] if rest else None
    except (ValueError, TypeError, RecursionError):
        return
    if what == "stdin" and isinstance(told, str):
        await visitor.typed(told)
    elif what == "resize" and isinstance(told, dict):
        columns, rows = told.get("width"), told.get("height")
        if isinstance(columns, int) and isinstance(rows, int):
            await visitor.resized(columns, rows)
    elif what in ("focus", "blur"):
        await visitor.looked_at(what == "focus")
    elif what == "ping" and isinstance(told, (str, int, float)):
        await socket.send_json(["pong", told])


def _asked(request: web.Request) -> tuple[int, int]:
    """The size of the terminal in the page, as it says in its address."""
    try:
        return int(request.query["width"]), int(request.query["height"])
    except (KeyError, ValueError):
        return _USUAL

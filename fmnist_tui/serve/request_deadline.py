"""Closes connections that send no complete request: each takes a file of those a process may open.

aiohttp limits the time between two requests of a connection, but not the time until the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

REQUEST_SECONDS = 10.0
CHECK_SECONDS = 1.0


class RequestDeadline:
    """Knows which connections have sent a request."""

    def __init__(self) -> None:
        self._heard: set[web.RequestHandler] = set()

    @web.middleware
    async def note_request(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self._heard.add(request.protocol)
        return await handler(request)

    async def watch(self, runner: web.AppRunner) -> None:
        """Close the connections of a running server that are silent for too long."""
        loop = asyncio.get_running_loop()
        silent_since: dict[web.RequestHandler, float] = {}
        while runner.server is not None:
            now, connections = loop.time(), set(runner.server.connections)
            self._heard &= connections
            silent = connections - self._heard
            silent_since = {each: silent_since.get(each, now) for each in silent}
            for connection, since in silent_since.items():
                if now - since >= REQUEST_SECONDS:
                    connection.force_close()
            await asyncio.sleep(CHECK_SECONDS)

"""Listening on loopback until a signal comes, then letting all visitors go."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import secrets
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from fmnist_tui.protocol.events import DETACHED, TRAIN
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import list_runs
from fmnist_tui.serve.auth import TOKEN, RequestGuard
from fmnist_tui.serve.connections import ConnectionPool
from fmnist_tui.serve.routes import site
from fmnist_tui.util.errors import UsageError, UserError, reason
from fmnist_tui.util.text import safe_text

# So long may the dashboards take to hand their runs over once the server is told to end.
END_SECONDS = 30.0
# So long may the process that takes a run over take to begin.
HANDED_OVER_SECONDS = 60.0
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the server listens, and the address to open."""

    host: str
    port: int
    token: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?{TOKEN}={self.token}"


def serve(
    host: str,
    port: int,
    visitors: int,
    runs_dir: Path,
    data_dir: Path,
    listening: Callable[[ListenAddress], None],
    told: Callable[[str], None],
) -> int:
    """Serve dashboards until a signal comes; the value is the exit status. `listening` is
    called once a browser can be pointed here, `told` with what there is to say meanwhile."""
    listener = _listen(loopback(host), port)
    with listener:
        address, port = listener.getsockname()[:2]
        place = ListenAddress(address, port, secrets.token_urlsafe(_TOKEN_BYTES))
        folders = [f"--runs={runs_dir.absolute()}", f"--data={data_dir.absolute()}"]

        async def opening() -> list[str]:
            live = await asyncio.to_thread(_live, runs_dir)
            return [*(("attach", live) if live else ("dashboard",)), *folders]

        house = ConnectionPool(visitors, told)
        guard = RequestGuard.of(place.token, address, port)
        app = site(guard, house, opening)
        return asyncio.run(_until_told(app, house, listener, lambda: listening(place), told))


def loopback(host: str) -> str:
    """The address that a host stands for; refused if any other machine could reach it."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise UsageError(
            f"--host {safe_text(host, 60)}: only this machine may be served: 127.0.0.1, ::1 or"
            " localhost; from another one, forward the port: ssh -L 8000:127.0.0.1:8000 HOST"
        )
    return str(address)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} of {address} is in use: choose another with --port N"
            ) from error
        raise UserError(
            f"cannot listen on port {port} of {address}: {reason(error)};"
            " choose another with --port N"
        ) from error


def _live(runs_dir: Path) -> str:
    """The newest training that goes on, to be shown to whoever comes; nothing if there is none.
    One that has just been handed over counts: the process that takes it up is about to start."""
    try:
        for run in list_runs(runs_dir):
            going = run.is_live or (run.state == DETACHED and _is_fresh(run.run))
            if going and run.kind == TRAIN:
                return str(run.run.path.absolute())
    except UserError:
        # A folder that cannot be read is for the dashboard to tell of.
        pass
    return ""


def _is_fresh(run: RunFolder) -> bool:
    try:
        return time.time() - run.events.stat().st_mtime < HANDED_OVER_SECONDS
    except OSError:
        return False


class _Telling(logging.Handler):
    """What goes wrong with a request, in one line."""

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        why = f": {type(error).__name__}: {reason(error)}" if error is not None else ""
        self._told(safe_text(record.getMessage() + why, 300))


async def _until_told(
    app: web.Application,
    house: ConnectionPool,
    listener: socket.socket,
    listening: Callable[[], None],
    told: Callable[[str], None],
) -> int:
    loop = asyncio.get_running_loop()
    ends: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever has SIGHUP ignored, as nohup does, wants it to outlive the terminal.
        if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:
            loop.add_signal_handler(number, ends.put_nowait, number)
    logger = logging.Logger("serve", logging.WARNING)
    logger.addHandler(_Telling(told))
    runner = web.AppRunner(app, access_log=None, logger=logger, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        listening()
        first = await ends.get()
    finally:
        # No new visitors from here on.
        await runner.cleanup()
        closing = asyncio.create_task(house.close(END_SECONDS))
        again = asyncio.create_task(ends.get())
        await asyncio.wait({closing, again}, return_when=asyncio.FIRST_COMPLETED)
        if not closing.done():
            told("ending at once")
            await house.close(0.0)
            await closing
        again.cancel()
    return 128 + first

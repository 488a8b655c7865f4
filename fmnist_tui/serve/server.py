"""The server: listens on loopback until a signal, then stops all dashboards."""

from __future__ import annotations

import asyncio
import contextlib
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
from fmnist_tui.serve.auth import TOKEN_PARAMETER, RequestGuard
from fmnist_tui.serve.connections import ConnectionPool
from fmnist_tui.serve.request_deadline import RequestDeadline
from fmnist_tui.serve.routes import build_app
from fmnist_tui.util.errors import UsageError, UserError, format_error, format_unexpected_error
from fmnist_tui.util.text import safe_text

# How long the dashboards may take to hand their runs over when the server stops
STOP_SECONDS = 30.0
# How long the process that takes a run over may take to start
HANDOVER_SECONDS = 60.0
REPEAT_SECONDS = 60.0
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the server listens; `url` includes the token."""

    host: str
    port: int
    token: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?{TOKEN_PARAMETER}={self.token}"


def serve(
    host: str,
    port: int,
    max_connections: int,
    runs_dir: Path,
    data_dir: Path,
    on_listening: Callable[[ListenAddress], None],
    on_message: Callable[[str], None],
) -> int:
    """Serve dashboards until a signal; returns the exit status. `on_listening` is called once
    a browser can connect."""
    with _listen(parse_loopback(host), port) as listener:
        host, port = listener.getsockname()[:2]
        address = ListenAddress(host, port, secrets.token_urlsafe(_TOKEN_BYTES))
        folders = [f"--runs={runs_dir.absolute()}", f"--data={data_dir.absolute()}"]

        async def get_command() -> list[str]:
            run = await asyncio.to_thread(_live_training, runs_dir)
            return ["attach", run, *folders] if run else ["dashboard", *folders]

        pool = ConnectionPool(max_connections, on_message)
        guard = RequestGuard.for_address(address.token, host, port)
        deadline = RequestDeadline()
        app = build_app(guard, pool, deadline, get_command)
        running = _run_until_signal(
            app, pool, deadline, listener, lambda: on_listening(address), on_message
        )
        return asyncio.run(running)


def parse_loopback(host: str) -> str:
    """The loopback address of a host; any other address is a UsageError."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise UsageError(
            f"--host {safe_text(host, 60)}: must be an address of this machine only: 127.0.0.1, ::1"
            " or localhost; to connect from another machine, forward the port:"
            " ssh -L 8000:127.0.0.1:8000 HOST"
        )
    return str(address)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except OSError as error:
        problem = f"cannot listen on port {port} of {address}: {format_error(error)};"
        if error.errno == errno.EADDRINUSE:
            problem = f"port {port} of {address} is in use:"
        raise UserError(f"{problem} choose another with --port N") from error


def _live_training(runs_dir: Path) -> str:
    """The path of the newest live training; empty if there is none. A run that was just handed
    over counts: the process that takes it over is about to start."""
    # The dashboard reports an unreadable folder.
    with contextlib.suppress(UserError):
        for run in list_runs(runs_dir):
            is_live = run.is_live or (run.state == DETACHED and _is_fresh(run.run))
            if is_live and run.kind == TRAIN:
                return str(run.run.path.absolute())
    return ""


def _is_fresh(run: RunFolder) -> bool:
    try:
        return time.time() - run.events.stat().st_mtime < HANDOVER_SECONDS
    except OSError:
        return False


class _MessageHandler(logging.Handler):
    """Passes errors of requests and of the event loop on, each as one line; the same one not more
    often than once a minute, because a loop without free files tries again every second."""

    def __init__(self, on_message: Callable[[str], None]) -> None:
        super().__init__()
        self._on_message = on_message
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        cause = f": {format_unexpected_error(error)}" if error is not None else ""
        message = safe_text(record.getMessage() + cause, 300)
        since = record.created - REPEAT_SECONDS
        self._said = {said: when for said, when in self._said.items() if when > since}
        if message not in self._said:
            self._said[message] = record.created
            self._on_message(message)


async def _run_until_signal(
    app: web.Application,
    pool: ConnectionPool,
    deadline: RequestDeadline,
    listener: socket.socket,
    on_listening: Callable[[], None],
    on_message: Callable[[str], None],
) -> int:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # With SIGHUP ignored, as nohup does, the server outlives its terminal.
        if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:
            loop.add_signal_handler(number, signals.put_nowait, number)
    logger = logging.Logger("serve", logging.WARNING)
    logger.addHandler(_MessageHandler(on_message))
    loop.set_exception_handler(
        lambda _, context: logger.error("%s", context["message"], exc_info=context.get("exception"))
    )
    runner = web.AppRunner(app, access_log=None, logger=logger, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        watching = asyncio.create_task(deadline.watch(runner))
        on_listening()
        first_signal = await signals.get()
        watching.cancel()
    finally:
        # No new connections from here on. A second signal kills the dashboards.
        await runner.cleanup()
        closing = asyncio.create_task(pool.close(STOP_SECONDS))
        second_signal = asyncio.create_task(signals.get())
        await asyncio.wait({closing, second_signal}, return_when=asyncio.FIRST_COMPLETED)
        if not closing.done():
            on_message("stopping now")
            await pool.close(0.0)
            await closing
        second_signal.cancel()
    return 128 + first_signal

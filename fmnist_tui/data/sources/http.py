"""HTTP GET requests that always end: by a deadline, on silence, on cancel.

Every request runs in an event loop of its own, in the calling thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

import fmnist_tui
from fmnist_tui.data.load_progress import check_cancel
from fmnist_tui.data.sources.errors import (
    BrokenError,
    LoginPageError,
    StatusError,
    UnreachableError,
)
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

MIN_BYTES = 1024  # fewer bytes than this within `Patience.silence` count as silence
_HEADERS = {"User-Agent": f"fmnist-tui/{fmnist_tui.__version__}", "Accept-Encoding": "identity"}
_MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_LOGIN_REQUIRED = 511
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a connection, and for the next bytes over one."""

    connect: float = 5.0
    silence: float = 10.0


def run(request: Coroutine[Any, Any, None], cancel: threading.Event | None) -> None:
    """Run `request` to its end; raise CancelError as soon as `cancel` is set."""

    async def watch() -> None:
        task = asyncio.create_task(request)
        while not task.done():
            check_cancel(cancel)
            await asyncio.wait([task], timeout=_POLL_SECONDS)
        task.result()

    with asyncio.Runner(loop_factory=_EventLoop) as runner:
        runner.run(watch())


class _EventLoop(asyncio.SelectorEventLoop):
    """Looks names up in daemon threads, so that neither cancelling nor exiting waits for them."""

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = Future[Any]()
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - raised where the result is awaited
                future.set_exception(error)

        threading.Thread(target=work, name="name look-up", daemon=True).start()
        return asyncio.wrap_future(future, loop=self)


@contextlib.asynccontextmanager
async def open_url(
    url: str, headers: Mapping[str, str], patience: Patience
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The response, redirects followed; raises UserError for everything that goes wrong."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=patience.connect)
    async with aiohttp.ClientSession(
        headers={**_HEADERS, **headers}, timeout=timeout, auto_decompress=False
    ) as session:
        try:
            async with asyncio.timeout(patience.connect + patience.silence):
                response = await _follow_redirects(session, url)
        except TimeoutError as error:
            raise UnreachableError("no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(_explain(error)) from error
        async with response:
            if response.status == _LOGIN_REQUIRED:
                raise LoginPageError
            if response.status not in (200, 206):
                raise StatusError(response.status, safe_text(response.reason or "", 100))
            yield response


async def _follow_redirects(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientResponse:
    # Not left to aiohttp, which would use the proxy of the first address for all of them.
    for _ in range(_MAX_REDIRECTS):
        response = await session.get(url, proxy=_proxy_for(url), allow_redirects=False)
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or location is None:
            return response
        response.close()
        url = urljoin(url, location)
        if not url.startswith(("http://", "https://")):
            break
    raise UserError("redirected in circles or to an address that is not http")


def _proxy_for(url: str) -> str | None:
    """The environment's proxy for this address."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


async def read_chunks(response: aiohttp.ClientResponse, patience: Patience) -> AsyncIterator[bytes]:
    """The body as it arrives; raises BrokenError when it stops early."""
    now = asyncio.get_running_loop().time
    deadline, received = now() + patience.silence, 0
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await response.content.readany()
        except TimeoutError as error:
            raise BrokenError(f"it stopped sending for {patience.silence:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenError("the connection broke") from error
        if not chunk:
            return
        received += len(chunk)
        if received >= MIN_BYTES:
            deadline, received = now() + patience.silence, 0
        yield chunk


def _explain(error: Exception) -> str:
    """The cause of the error in one line, without the address."""
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({safe_text(cause.verify_message, 200)})"
    if isinstance(cause, OSError) and cause.errno and "Connect call failed" in str(cause):
        return os.strerror(cause.errno)
    return safe_text(format_error(cause), 200)

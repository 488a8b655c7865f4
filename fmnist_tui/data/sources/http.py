"""An HTTP answer whose every wait has an end.

Name look-ups, handshakes and headers that dribble in cannot all be bounded from the
thread that waits in them. So a helper thread does the waiting and only carries bytes;
whoever asked takes them from a queue, looks at the clock and at the wish to cancel,
and leaves the helper behind if need be: its own time-outs end it.
"""

from __future__ import annotations

import http.client
import queue
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import Any

import fmnist_tui
from fmnist_tui.data.sources.files import check_cancel
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

LEAST = 1024  # fewer bytes than this within the silence allowed are as good as none
_CHUNK = 2**16
_AHEAD = 8  # chunks that may wait in the queue
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait: for a connection, and for the next bytes over one."""

    connect: float = 5.0
    silence: float = 10.0


PATIENCE = Patience()


class UnreachableError(UserError):
    """The server as a whole does not serve: there is no sense in asking it for more."""


class BrokenError(UserError):
    """The answer ended before all of it had come."""


class StatusError(UserError):
    """The server answered, with a refusal."""

    def __init__(self, status: int) -> None:
        phrase = http.client.responses.get(status, "")
        super().__init__(f"HTTP {status} {phrase}".strip())
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the body: the status and the headers, after any redirects."""

    status: int
    headers: Message


class Answer:
    """One request. `head` and `chunks` raise UserError for everything that goes wrong."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        patience: Patience,
        cancel: threading.Event | None = None,
    ) -> None:
        self._patience, self._cancel = patience, cancel
        self._queue: queue.Queue[Head | bytes | Exception] = queue.Queue(_AHEAD)
        self._gone = threading.Event()
        own = {"User-Agent": f"fmnist-tui/{fmnist_tui.__version__}", "Accept-Encoding": "identity"}
        request = urllib.request.Request(url, headers={**own, **headers})
        threading.Thread(
            target=self._carry, args=(request,), name="fmnist-tui fetch", daemon=True
        ).start()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()

    def head(self) -> Head:
        """The status and headers; raises UserError for any status but 2xx."""
        seconds = self._patience.connect + self._patience.silence
        came = self._next(time.monotonic() + seconds)
        if came is None:
            raise UnreachableError(f"no answer within {seconds:g} s")
        if isinstance(came, Exception):
            raise _explained(came) from came
        assert isinstance(came, Head)
        return came

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece, until its end."""
        silence = self._patience.silence
        deadline, fresh = time.monotonic() + silence, 0
        while True:
            came = self._next(deadline)
            if came is None or isinstance(came, TimeoutError):
                raise BrokenError(f"it stopped sending: fewer than {LEAST} bytes in {silence:g} s")
            if isinstance(came, Exception):
                raise BrokenError(f"it broke off: {safe_text(reason(came), 200)}") from came
            assert isinstance(came, bytes)
            if not came:
                return
            fresh += len(came)
            if fresh >= LEAST:
                deadline, fresh = time.monotonic() + silence, 0
            yield came

    def _next(self, deadline: float) -> Head | bytes | Exception | None:
        while (left := deadline - time.monotonic()) > 0:
            check_cancel(self._cancel)
            try:
                return self._queue.get(timeout=min(left, _LOOK_EVERY))
            except queue.Empty:
                continue
        return None

    def _carry(self, request: urllib.request.Request) -> None:
        """The helper thread: carries what comes, and last an empty piece or what went wrong."""
        try:
            with _opener(self._patience).open(request, timeout=self._patience.connect) as answer:
                self._put(Head(answer.status, answer.headers))
                while (chunk := answer.read1(_CHUNK)) and not self._gone.is_set():
                    self._put(chunk)
            self._put(b"")
        except Exception as error:  # noqa: BLE001 - carried whole to the thread that asked
            self._put(error)

    def _put(self, thing: Head | bytes | Exception) -> None:
        while not self._gone.is_set():
            try:
                self._queue.put(thing, timeout=_LOOK_EVERY)
            except queue.Full:
                continue
            return


def _explained(error: Exception) -> UserError:
    """What went wrong before the body began, in words."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        if error.code == http.client.NETWORK_AUTHENTICATION_REQUIRED:
            return UnreachableError("the network asks for a login first (HTTP 511)")
        if error.code // 100 == 3:
            return UserError(f"redirected in circles or to no web address (HTTP {error.code})")
        return StatusError(error.code)
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return UnreachableError("no answer in time")
    if isinstance(inner, ssl.SSLCertVerificationError):
        return UnreachableError(f"its certificate is not to be trusted ({inner.verify_message})")
    text = reason(inner) if isinstance(inner, BaseException) else str(inner)
    return UnreachableError(safe_text(text, 200))


def _opener(patience: Patience) -> urllib.request.OpenerDirector:
    """An opener that knows http, https and the environment's proxies, and no other scheme."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _HttpHandler(patience.silence),
        _HttpsHandler(patience.silence),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Http(http.client.HTTPConnection):
    """A connection that, once it stands, waits for bytes as long as is allowed for that."""

    def __init__(self, host: str, *, silence: float, **options: Any) -> None:
        super().__init__(host, **options)
        self._silence = silence

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self._silence)


class _Https(http.client.HTTPSConnection):
    """The same, encrypted."""

    def __init__(self, host: str, *, silence: float, **options: Any) -> None:
        super().__init__(host, **options)
        self._silence = silence

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self._silence)


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, silence: float) -> None:
        super().__init__()
        self._silence = silence

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Http, silence=self._silence), req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, silence: float) -> None:
        super().__init__()
        self._silence = silence

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        context = ssl.create_default_context()
        return self.do_open(partial(_Https, silence=self._silence, context=context), req)

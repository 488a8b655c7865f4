"""Who is let in: from this machine, under a name of this machine, with the token.

Any page in the browser can send requests to loopback, and any name can be made to point
there. So the name in `Host` must be one of ours to the letter (a foreign name that leads
here is not), a websocket must be opened by our own page (`Origin`), and all must carry the
token: once in the address that was printed, from then on in a cookie that no script reads
and no foreign page sends along.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from fmnist_tui.serve.pages import refused

TOKEN = "token"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
        " font-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "fmnist-tui",
}
_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD)
_WHERE_TO_FIND_IT = "Open the address that `fmnist-tui serve` has printed, token and all."


@dataclass(frozen=True, slots=True)
class RequestGuard:
    """`names` are what this server may be called in `Host`, with its port."""

    token: str
    names: frozenset[str]
    cookie: str

    @classmethod
    def of(cls, token: str, host: str, port: int) -> RequestGuard:
        own = f"[{host}]" if ":" in host else host
        names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", own)}
        if port == 80:
            names |= {name.rpartition(":")[0] for name in names}
        # Cookies do not tell ports apart; two servers must not overwrite each other's.
        return cls(token, frozenset(names), f"fmnist-tui-{port}")

    def objection(self, request: web.Request, *, is_socket: bool) -> str:
        """Why a request is refused; empty if it is not, but for the token."""
        if request.method not in _METHODS:
            return "This server only shows."
        if not _is_near(request.remote):
            return "This server is for its own machine alone."
        names = request.headers.getall(hdrs.HOST, [])
        if len(names) != 1 or names[0].lower() not in self.names:
            return (
                "This server answers to 127.0.0.1 and localhost with its own port alone."
                " Through ssh, forward the same port."
            )
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if origins != [f"http://{names[0]}"] and (origins or is_socket):
            return "This server is for its own page alone."
        return ""

    def knows(self, given: str | None) -> bool:
        """Whether this is the token, in a time that does not depend on how nearly it is."""
        if given is None:
            return False
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode("ascii"))

    def admitted(self) -> web.Response:
        """The answer to the address with the token: a cookie, and on to the address without."""
        answer = web.Response(status=303, headers={hdrs.LOCATION: "/"})
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict", path="/")
        return answer


def middleware(guard: RequestGuard, socket_path: str) -> Middleware:
    """Every request through the guard, whatever it asks for."""

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        why = guard.objection(request, is_socket=request.path == socket_path)
        if why:
            return refused(why)
        given = request.query.getall(TOKEN, [])
        if given and request.path == "/":
            if len(given) == 1 and guard.knows(given[0]):
                return guard.admitted()
            return refused(f"This is not the token of this server. {_WHERE_TO_FIND_IT}")
        if not guard.knows(request.cookies.get(guard.cookie)):
            return refused(f"This page needs a token. {_WHERE_TO_FIND_IT}")
        return await handler(request)

    return guarded


async def protect(_: web.BaseRequest, response: web.StreamResponse) -> None:
    """Every answer with the headers that keep the browser from doing more than is meant."""
    response.headers.update(HEADERS)


def _is_near(remote: str | None) -> bool:
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback

"""Access checks: requests come from this machine, under a name of this machine, with the token.

Any page in the browser can send requests to loopback, and any host name can be made to resolve
to it. So `Host` must be exactly one of our names, a websocket must be opened by our own page
(`Origin`), and every request needs the token: first in the printed address, from then on in a
cookie that scripts cannot read and other sites do not send.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web

from fmnist_tui.serve.pages import refusal_page

SOCKET_PATH = "/socket"
TOKEN_PARAMETER = "token"
SECURITY_HEADERS = {
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
_HINT = "Open the complete address that `fmnist-tui serve` printed, including the token."


@dataclass(frozen=True, slots=True)
class RequestGuard:
    """`hosts` are the values of `Host` that this server accepts."""

    token: str
    hosts: frozenset[str]
    cookie: str

    @classmethod
    def for_address(cls, token: str, host: str, port: int) -> RequestGuard:
        own_host = f"[{host}]" if ":" in host else host
        hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", own_host)}
        if port == 80:
            hosts |= {name.rpartition(":")[0] for name in hosts}
        # Browsers share cookies between ports; servers must not overwrite each other's.
        return cls(token, frozenset(hosts), f"fmnist-tui-{port}")

    @web.middleware
    async def check(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Checks every request, whatever its path."""
        if refusal := self.refusal(request):
            return _refuse(refusal)
        tokens = request.query.getall(TOKEN_PARAMETER, [])
        if tokens and request.path == "/":
            if len(tokens) > 1 or not self.is_token(tokens[0]):
                return _refuse(f"This is not the token of this server. {_HINT}")
            # Set the cookie, and redirect to the address without the token.
            response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
            response.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict", path="/")
            return response
        if not self.is_token(request.cookies.get(self.cookie)):
            return _refuse(f"This page needs a token. {_HINT}")
        return await handler(request)

    def refusal(self, request: web.Request) -> str:
        """Why a request is refused, apart from its token; empty if it is accepted."""
        if request.method not in _METHODS:
            return "This server is read-only."
        if not _is_loopback(request.remote):
            return "This server accepts connections from its own machine only."
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return (
                "This server answers only to 127.0.0.1 and localhost with its own port."
                " With ssh, forward the same port."
            )
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if origins != [f"http://{hosts[0]}"] and (origins or request.path == SOCKET_PATH):
            return "This server accepts requests from its own page only."
        return ""

    def is_token(self, value: str | None) -> bool:
        """Compares in constant time."""
        if value is None:
            return False
        return hmac.compare_digest(value.encode("utf-8", "replace"), self.token.encode("ascii"))


async def add_security_headers(_: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


def _refuse(reason: str) -> web.Response:
    """A stranger's connection is not kept open."""
    response = refusal_page(reason)
    response.force_close()
    return response


def _is_loopback(remote: str | None) -> bool:
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback

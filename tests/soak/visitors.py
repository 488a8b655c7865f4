"""Visitors of `fmnist-tui serve` that no browser would be: raw requests, frames and silences."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from typing import Self

from tests.e2e.serving import UPGRADE, Server

SECONDS = 30.0
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FINAL = 0x80
Header = tuple[str, str]


def connect(port: int, receive_buffer: int = 0) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(SECONDS)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", port))
    return connection


def read_to_end(connection: socket.socket, seconds: float = SECONDS) -> bytes:
    """All that comes until the server closes the connection; a TimeoutError if it does not."""
    received, end = b"", time.monotonic() + seconds
    with contextlib.suppress(ConnectionError):
        while block := connection.recv(1 << 16):
            received = (received + block)[-(1 << 16) :]
            if time.monotonic() > end:
                raise TimeoutError("the server did not close the connection")
    return received


def request(port: int, data: bytes) -> bytes:
    """The answer to these bytes."""
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(data)
        return read_to_end(connection)
    return b""


def head(path: str, *headers: Header, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


class Tab:
    """An accepted websocket, and so a dashboard."""

    def __init__(self, server: Server, receive_buffer: int = 0) -> None:
        self.connection = connect(server.port, receive_buffer)
        headers = (
            ("Host", server.host),
            ("Cookie", server.cookie),
            ("Origin", f"http://{server.host}"),
            *UPGRADE,
        )
        lines = ["GET /socket?width=80&height=24 HTTP/1.1", *(": ".join(each) for each in headers)]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())
        self.answer = b""
        while b"\r\n\r\n" not in self.answer:
            block = self.connection.recv(1)
            assert block, self.answer
            self.answer += block

    @property
    def is_open(self) -> bool:
        return self.answer.startswith(b"HTTP/1.1 101")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, data: bytes, first: int = FINAL | TEXT) -> None:
        """Send one frame, whatever its first byte says."""
        size = len(data)
        if size < 126:
            length = struct.pack("!B", 0x80 | size)
        elif size < 1 << 16:
            length = struct.pack("!BH", 0x80 | 126, size)
        else:
            length = struct.pack("!BQ", 0x80 | 127, size)
        self.connection.sendall(bytes([first]) + length + b"\0\0\0\0" + data)

    def say(self, *message: object) -> None:
        self.send(json.dumps(message).encode())

    def wait_for(self, words: bytes) -> None:
        """Wait until the dashboard has drawn this."""
        received, end = b"", time.monotonic() + SECONDS
        while words not in received:
            block = self.connection.recv(1 << 16)
            assert block, f"closed before {words!r}"
            assert time.monotonic() < end, f"never received {words!r}"
            received += block

    def reset(self) -> None:
        """End the connection like a machine that was switched off and on."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def close_cleanly(self) -> None:
        self.send(struct.pack("!H", 1000), FINAL | CLOSE)
        read_to_end(self.connection)


def hostile_requests(server: Server) -> dict[str, bytes]:
    """Requests to refuse, by what is wrong with them."""
    host, port, token = server.host, server.port, server.token
    own, cookie, origin = ("Host", host), ("Cookie", server.cookie), ("Origin", f"http://{host}")
    near = token[:-1] + ("A" if token[-1] != "A" else "B")
    name = f"fmnist-tui-{port}"
    requests: dict[str, bytes] = {}
    tokens = {
        "none": "",
        "empty": "token=",
        "near": f"token={near}",
        "shorter": f"token={token[:-1]}",
        "longer": f"token={token}A",
        "twice": f"token={token}&token={token}",
        "in another case": f"token={token.swapcase()}",
        "under another name": f"Token={token}",
        "no ASCII": "token=%F0%9F%97%9D",
        "with NUL": f"token={token}%00",
        "huge": "token=" + "A" * 7000,
        "beyond the longest line": "token=" + "A" * 100_000,
        "as a list": f"token[]={token}",
    }
    for what, query in tokens.items():
        requests[f"token {what}"] = head(f"/?{query}", own)
    for what, path in {"file": "/page.js", "static file": "/static/js/textual.js"}.items():
        requests[f"token for a {what}"] = head(f"{path}?token={token}", own)
    cookies = {
        "near": f"{name}={near}",
        "of another name": f"token={token}",
        "of another port": f"fmnist-tui-{port + 1}={token}",
        "quoted": f'{name}="{token}',
        "of control codes": "\x01\x02=;;;=,,\xff",
        "huge": f"{name}={'A' * 100_000}",
    }
    for what, value in cookies.items():
        requests[f"cookie {what}"] = head("/", own, ("Cookie", value))
    hosts = {
        "foreign": f"evil.example:{port}",
        "that begins like ours": f"{host}.evil.example",
        "without the port": "127.0.0.1",
        "with another port": f"127.0.0.1:{port + 1}",
        "of another address": f"127.0.0.2:{port}",
        "as a number": f"2130706433:{port}",
        "with a user": f"{host}@evil.example",
        "with a space": f"{host} evil.example",
        "empty": "",
        "of 60,000 letters": "a" * 60_000,
    }
    for what, value in hosts.items():
        requests[f"host {what}"] = head("/", ("Host", value), cookie)
    requests["host missing"] = head("/", cookie)
    requests["host twice"] = head("/", own, ("Host", "evil.example"), cookie)
    origins = {
        "foreign": "http://evil.example",
        "null": "null",
        "of another port": f"http://127.0.0.1:{port + 1}",
        "of another scheme": f"https://{host}",
        "of our other name": f"http://localhost:{port}",
        "with a path": f"http://{host}/",
        "empty": "",
    }
    for what, value in origins.items():
        requests[f"page of an origin {what}"] = head("/", own, cookie, ("Origin", value))
        requests[f"socket of an origin {what}"] = head(
            "/socket", *UPGRADE, own, cookie, ("Origin", value)
        )
    requests["socket without origin"] = head("/socket", *UPGRADE, own, cookie)
    requests["socket without token"] = head("/socket", *UPGRADE, own, origin)
    requests["socket with a near token"] = head(
        "/socket", *UPGRADE, own, origin, ("Cookie", f"{name}={near}")
    )
    requests["socket with the token in its address"] = head(
        f"/socket?token={token}", *UPGRADE, own, origin
    )
    requests["socket with the token as its protocol"] = head(
        "/socket", *UPGRADE, own, origin, ("Sec-WebSocket-Protocol", token)
    )
    requests["socket of another version"] = head(
        "/socket", *UPGRADE[:2], ("Sec-WebSocket-Version", "99"), UPGRADE[3], own, cookie, origin
    )
    requests["socket without an upgrade"] = head("/socket", own, cookie, origin)
    paths = [
        "/static",
        "/static/",
        "/static/js",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2f..%2fserver.py",
        "/static/..\\server.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/js/textual.js%00.css",
        "/static/%00",
        f"/static/{'a' * 300}",
        f"/static/{'a/' * 3000}",
        "//etc/passwd",
        "/../../etc/passwd",
        "/proc/self/environ",
        "/%ff%fe",
        "/page.js/",
        "/PAGE.JS",
        "/\x00",
        "/" + "a" * 100_000,
    ]
    for path in paths:
        requests[f"path {path[:30]!r}"] = head(path, own, cookie)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "BREW", "get"):
        requests[f"method {method}"] = head("/", own, cookie, method=method)
    requests["method with NUL"] = head("/", own, cookie, method="GET\0")
    requests["two lengths"] = head("/", own, cookie, ("Content-Length", "5")).replace(
        b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    requests["a negative length"] = head("/", own, cookie, ("Content-Length", "-1"))
    requests["an unknown expectation"] = head("/", own, cookie, ("Expect", "the-unexpected"))
    requests["10,000 headers"] = head("/", own, *[("X", "y")] * 10_000)
    requests["a greeting of TLS"] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500
    requests["HTTP/2"] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    requests["HTTP/9.9"] = head("/", own).replace(b"HTTP/1.1", b"HTTP/9.9")
    requests["noise"] = bytes(range(256)) * 40 + b"\r\n\r\n"
    return requests

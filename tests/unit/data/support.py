"""A misbehaving web server on loopback, and tiny datasets."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.data.idx.idx_set import IdxFile, IdxSet
from fmnist_tui.data.sources.http import Patience

QUICK = Patience(connect=1.0, silence=0.5)
"""Time limits for tests: their servers answer at once or never."""

Response = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each path with the response that the test chose."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers.items())))
        self.close_connection = True
        response = self.server.responses.get(self.path)
        try:
            if response is None:
                self.send_error(404)
            else:
                response(self)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def start(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """`requests` has the paths and headers of all requests, in order."""

    daemon_threads = True

    def __init__(self, responses: dict[str, Response]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses = responses
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


@contextmanager
def serving(**responses: Response) -> Iterator[Server]:
    """A server for the paths in the keywords, with dots for double underscores."""
    server = Server(
        {f"/{name.replace('__', '.')}": response for name, response in responses.items()}
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()


def complete(body: bytes, tag: str = '"v1"', ranges: bool = True) -> Response:
    """The file, or the requested range of it."""

    def response(handler: Handler) -> None:
        requested = handler.headers.get("Range", "")
        if ranges and requested and handler.headers.get("If-Range") == tag:
            first = int(requested.removeprefix("bytes=").rstrip("-"))
            if first >= len(body):
                handler.send_error(416)
                return
            part = f"bytes {first}-{len(body) - 1}/{len(body)}"
            rest = body[first:]
            handler.start(206, Content_Range=part, Content_Length=len(rest), ETag=tag)
            handler.wfile.write(rest)
        else:
            handler.start(Content_Length=len(body), ETag=tag)
            handler.wfile.write(body)

    return response


def truncated(body: bytes, after: int, tag: str = '"v1"') -> Response:
    """Announces the whole file, but closes the connection early, every time."""

    def response(handler: Handler) -> None:
        handler.start(Content_Length=len(body), ETag=tag)
        handler.wfile.write(body[:after])

    return response


def then(*responses: Response) -> Response:
    """One response after the other; the last one repeats."""
    remaining = list(responses)
    return lambda handler: (remaining.pop(0) if len(remaining) > 1 else remaining[0])(handler)


def redirect(to: str) -> Response:
    return lambda handler: handler.start(302, Location=to, Content_Length=0)


def login_page(handler: Handler) -> None:
    """The login page of a hotel's network."""
    body = b"<!DOCTYPE html><html><body>Welcome! Please log in.</body></html>"
    handler.start(Content_Type="text/html; charset=utf-8", Content_Length=len(body))
    handler.wfile.write(body)


def silent(handler: Handler) -> None:
    """Accepts the request and never answers."""
    server = handler.server
    server.ending.wait(20)


def stalled(body: bytes, after: int) -> Response:
    """Starts to send, then keeps the connection open without sending more."""

    def response(handler: Handler) -> None:
        handler.start(Content_Length=len(body), ETag='"v1"')
        handler.wfile.write(body[:after])
        handler.wfile.flush()
        handler.server.ending.wait(20)

    return response


def dripping(body: bytes, pause: float) -> Response:
    """Sends single bytes with pauses."""

    def response(handler: Handler) -> None:
        handler.start(Content_Length=len(body))
        for position in range(len(body)):
            handler.wfile.write(body[position : position + 1])
            handler.wfile.flush()
            if handler.server.ending.wait(pause):
                return

    return response


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    """An idx file's bytes, built without the code under test."""
    code = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C}[array.dtype.name]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


class TinySet:
    """A dataset like Fashion-MNIST with 40 training and 20 test images."""

    def __init__(self, name: str = "fashion", is_known: bool = True, **more: Any) -> None:
        numbers = np.random.default_rng(3)
        self.arrays = {
            "train-images-idx3-ubyte.gz": numbers.integers(0, 256, (40, 28, 28), np.uint8),
            "train-labels-idx1-ubyte.gz": (np.arange(40) % 10).astype(np.uint8),
            "t10k-images-idx3-ubyte.gz": numbers.integers(0, 256, (20, 28, 28), np.uint8),
            "t10k-labels-idx1-ubyte.gz": (np.arange(20) % 10).astype(np.uint8),
        }
        raw = {file: idx_bytes(array) for file, array in self.arrays.items()}
        self.files = {file: gzip.compress(data, mtime=0) for file, data in raw.items()}
        files = tuple(
            IdxFile(
                file,
                len(array),
                md5(self.files[file]),
                hashlib.sha256(raw[file]).hexdigest() if is_known else "",
            )
            for file, array in self.arrays.items()
        )
        self.idx_set = IdxSet(name, files, **more)

    def at(self, *mirrors: str) -> IdxSet:
        return replace(self.idx_set, mirrors=mirrors)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in self.files.items():
            (folder / file).write_bytes(data)
        return folder

    def responses(self) -> dict[str, Response]:
        """Correct responses for all files."""
        return {file.replace(".", "__"): complete(data) for file, data in self.files.items()}

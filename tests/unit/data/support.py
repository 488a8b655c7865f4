"""A web server of bad manners on loopback, and data sets small enough to make up."""

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
"""Time-outs short enough for tests; everything here answers at once or never."""

Manner = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each path in the manner that the test chose."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers.items())))
        self.close_connection = True
        manner = self.server.manners.get(self.path)
        try:
            if manner is None:
                self.send_error(404)
            else:
                manner(self)
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
    """What it was asked is in `asked`: paths with headers, in order."""

    daemon_threads = True

    def __init__(self, manners: dict[str, Manner]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.manners = manners
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def serving(**manners: Manner) -> Iterator[Server]:
    """A server whose paths are the keywords, with dots for double underscores."""
    server = Server({f"/{name.replace('__', '.')}": manner for name, manner in manners.items()})
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()


def whole(body: bytes, tag: str = '"v1"', ranges: bool = True) -> Manner:
    """The file as it should be served, with parts of it for whoever has the rest."""

    def manner(handler: Handler) -> None:
        wanted = handler.headers.get("Range", "")
        if ranges and wanted and handler.headers.get("If-Range") == tag:
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
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

    return manner


def cut_short(body: bytes, after: int, tag: str = '"v1"') -> Manner:
    """All of it promised, the connection closed early; every time anew."""

    def manner(handler: Handler) -> None:
        handler.start(Content_Length=len(body), ETag=tag)
        handler.wfile.write(body[:after])

    return manner


def then(*manners: Manner) -> Manner:
    """One manner after the other, the last one for ever."""
    left = list(manners)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def redirect(to: str) -> Manner:
    return lambda handler: handler.start(302, Location=to, Content_Length=0)


def page(handler: Handler) -> None:
    """A hotel's network that wants a room number first."""
    body = b"<!DOCTYPE html><html><body>Welcome! Please log in.</body></html>"
    handler.start(Content_Type="text/html; charset=utf-8", Content_Length=len(body))
    handler.wfile.write(body)


def hang(handler: Handler) -> None:
    """Takes the request and says nothing."""
    server = handler.server
    server.ending.wait(20)


def stall(body: bytes, after: int) -> Manner:
    """Begins, and then sends nothing more while keeping the connection."""

    def manner(handler: Handler) -> None:
        handler.start(Content_Length=len(body), ETag='"v1"')
        handler.wfile.write(body[:after])
        handler.wfile.flush()
        handler.server.ending.wait(20)

    return manner


def dribble(body: bytes, pause: float) -> Manner:
    """A byte now and a byte then."""

    def manner(handler: Handler) -> None:
        handler.start(Content_Length=len(body))
        for place in range(len(body)):
            handler.wfile.write(body[place : place + 1])
            handler.wfile.flush()
            if handler.server.ending.wait(pause):
                return

    return manner


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    """An idx file's bytes, put together without the code under test."""
    code = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C}[array.dtype.name]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


class TinySet:
    """A data set like Fashion-MNIST with 40 training and 20 test pictures."""

    def __init__(self, name: str = "fashion", known: bool = True, **more: Any) -> None:
        numbers = np.random.default_rng(3)
        self.arrays = {
            "train-images-idx3-ubyte.gz": numbers.integers(0, 256, (40, 28, 28), np.uint8),
            "train-labels-idx1-ubyte.gz": (np.arange(40) % 10).astype(np.uint8),
            "t10k-images-idx3-ubyte.gz": numbers.integers(0, 256, (20, 28, 28), np.uint8),
            "t10k-labels-idx1-ubyte.gz": (np.arange(20) % 10).astype(np.uint8),
        }
        raw = {file: idx_bytes(array) for file, array in self.arrays.items()}
        self.files = {file: gzip.compress(data, mtime=0) for file, data in raw.items()}
        train_images, train_labels, test_images, test_labels = (
            IdxFile(
                file,
                len(array),
                md5(self.files[file]),
                hashlib.sha256(raw[file]).hexdigest() if known else "",
                labels="labels" in file,
            )
            for file, array in self.arrays.items()
        )
        self.idx_set = IdxSet(name, train_images, train_labels, test_images, test_labels, **more)

    def at(self, *mirrors: str) -> IdxSet:
        return replace(self.idx_set, mirrors=mirrors)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in self.files.items():
            (folder / file).write_bytes(data)
        return folder

    def manners(self) -> dict[str, Manner]:
        """Every file served as it should be."""
        return {file.replace(".", "__"): whole(data) for file, data in self.files.items()}

"""A server on this machine that keeps what it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any, NamedTuple


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Webhook:
    """Messages arrive in `received`; the answer is `status`, once `may_answer` is set."""

    def __init__(self) -> None:
        self.received: Queue[Received] = Queue()
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.port = 0


@contextmanager
def serve_webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            hook.received.put(Received(self.path, dict(self.headers.items()), body))
            hook.may_answer.wait(60)
            self.send_response(hook.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()

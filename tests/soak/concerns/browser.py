"""`fmnist-tui serve`: nobody is let in, nothing is left of a tab, no stranger occupies it."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.e2e.serving import LONG, Server
from tests.e2e.support import wait_for
from tests.soak.concern import Concern, Tally, spread
from tests.soak.visitors import (
    BINARY,
    CLOSE,
    FINAL,
    PING,
    SECONDS,
    TEXT,
    Tab,
    connect,
    head,
    hostile_requests,
    read_to_end,
    request,
)

VISITORS = 2
# Threads of a server that rests: its own, and those that asyncio keeps for blocking calls
THREADS = 1 + 8


def run(tally: Tally, tries: int) -> None:
    folder = tally.folder / "served"
    folder.mkdir()
    with Server(folder, "--visitors", str(VISITORS)) as server:
        wait_for(lambda: is_served(server))
        files = open_files(server.process.pid)
        for what, data in hostile_requests(server).items():
            with tally.trial(what):
                check_refused(server, request(server.port, data))
        for what, visit in spread(list(visits().items()), tries):
            with tally.trial(what):
                visit(server)
                check_at_rest(server, files)
        with tally.trial("what the server said"):
            assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM
            assert "Traceback" not in server.log.read_text(), server.log.read_text()
    ends = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
    for number in spread(ends, tries // 12):
        with tally.trial(f"server ended by {number.name}"):
            end_while_training(tally.folder / number.name, number)


def check_refused(server: Server, answer: bytes) -> None:
    # No answer at all is a refusal too.
    status = answer[9:12]
    assert answer[:5] in (b"", b"HTTP/"), answer[:80]
    assert not answer or b"400" <= status < b"500", answer[:200]
    assert server.token.encode() not in answer
    assert b"Traceback" not in answer


def check_at_rest(server: Server, files: int) -> None:
    """Nothing of a visit is left: no process, no file, no thread; the next visitor is served."""
    process = psutil.Process(server.process.pid)
    try:
        wait_for(
            lambda: (
                not process.children()
                and open_files(process.pid) <= files
                and process.num_threads() <= THREADS
            ),
            SECONDS,
        )
    except AssertionError:
        raise AssertionError(
            f"left: {len(process.children())} dashboards,"
            f" {open_files(process.pid) - files} files, {process.num_threads()} threads"
        ) from None
    assert is_served(server)


def is_served(server: Server) -> bool:
    own = (("Host", server.host), ("Cookie", server.cookie))
    return request(server.port, head("/", *own)).startswith(b"HTTP/1.1 200")


def open_files(pid: int) -> int:
    return int(psutil.Process(pid).num_fds())


# -- visits ------------------------------------------------------------------------------------

Visit = Callable[[Server], None]


def visits() -> dict[str, Visit]:
    found: dict[str, Visit] = {"odd messages": odd_messages}
    found |= {
        f"tab {what}, {number}": closed(close, after_drawing=number % 2 == 0)
        for number in range(5)
        for what, close in {
            "closed": Tab.close_cleanly,
            "broken off": lambda tab: tab.connection.shutdown(socket.SHUT_RDWR),
            "reset": Tab.reset,
            "half closed": lambda tab: tab.connection.shutdown(socket.SHUT_WR),
        }.items()
    }
    found |= {f"frame {what}": bad_frame(send) for what, send in FRAMES.items()}
    found |= {
        "a tab that stops reading": stalled_tab,
        "more than the visitors allowed": too_many,
        "requests sent byte by byte": slow_requests,
        "connections that say nothing, more than there are files": silent_connections,
        "answers that are not read": unread_answers,
    }
    return found


def closed(close: Callable[[Tab], None], *, after_drawing: bool) -> Visit:
    def visit(server: Server) -> None:
        with Tab(server) as tab:
            if after_drawing:
                tab.wait_for(b"Data")
            close(tab)

    return visit


FRAMES: dict[str, Callable[[Tab], None]] = {
    "with reserved bits": lambda tab: tab.send(b"[]", FINAL | 0x70 | TEXT),
    "of a reserved kind": lambda tab: tab.send(b"[]", FINAL | 3),
    "of half a ping": lambda tab: tab.send(b"", PING),
    "of a long ping": lambda tab: tab.send(b"p" * 200, FINAL | PING),
    "that continues nothing": lambda tab: tab.send(b"[]", FINAL),
    "of no text": lambda tab: tab.send(b"\xff\xfe\xc3"),
    "of two megabytes": lambda tab: tab.send(b"x" * (2 << 20)),
    "of 2^63 bytes": lambda tab: tab.connection.sendall(
        bytes([FINAL | BINARY, 0xFF]) + b"\x7f" + b"\xff" * 7 + b"\0" * 4
    ),
    "in parts without an end": lambda tab: send_parts(tab),
    "that closes with half a code": lambda tab: tab.send(b"\x03", FINAL | CLOSE),
    "that closes with a reserved code": lambda tab: tab.send(
        struct.pack("!H", 1005), FINAL | CLOSE
    ),
    "of noise": lambda tab: tab.connection.sendall(bytes(range(255, 0, -1)) * 20),
}


def send_parts(tab: Tab) -> None:
    for number in range(40):
        tab.send(b"x" * 65_000, 0 if number else TEXT)


def bad_frame(send: Callable[[Tab], None]) -> Visit:
    def visit(server: Server) -> None:
        with Tab(server) as tab:
            # The server may have closed the connection before all of it was sent.
            with contextlib.suppress(ConnectionError):
                send(tab)
            read_to_end(tab.connection)

    return visit


MESSAGES: tuple[bytes, ...] = (
    b"",
    b"no json",
    b"[]",
    b"{}",
    b"7",
    b"null",
    b'"stdin"',
    b"[" * 100_000,
    b"9" * 10_000,
    b'["stdin", 7]',
    b'["stdin", ""]',
    b'["stdin", null]',
    b'["stdin", "\\ud800"]',
    b'["stdin", "\\u0000\\u001b[<0;999999999;1M\\u001b[M"]',
    b'["resize", {"width": "x"}]',
    b'["resize", {"width": 1e400, "height": 3}]',
    b'["resize", {"width": 1000000000, "height": -5}]',
    b'["ping", NaN]',
    b'["focus", []]',
    b'["deliver_file", "/etc/passwd"]',
    b'["open_url", "http://evil.example"]',
    b'[{"a": 1}, 2]',
)


def odd_messages(server: Server) -> None:
    with Tab(server) as tab:
        for message in MESSAGES:
            tab.send(message)
            tab.send(message, FINAL | BINARY)
        for number in range(500):
            tab.send(b"p", FINAL | PING)
            tab.say("resize", {"width": 80 + number % 3, "height": 24})
        tab.say("resize", {"width": 80, "height": 24})
        tab.say("stdin", "2")
        tab.wait_for(b"Next run")
        tab.close_cleanly()


def stalled_tab(server: Server) -> None:
    """A page whose computer sleeps: it holds its connection, and reads nothing any more."""
    with Tab(server, receive_buffer=2048) as tab:
        for number in range(120):
            tab.say("resize", {"width": 150 + number % 2 * 100, "height": 60})
            time.sleep(0.02)
        process = psutil.Process(server.process.pid)
        # The server gives up by its heartbeat, while the connection is still there.
        wait_for(lambda: not process.children(), 2 * SECONDS)


def too_many(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        tabs = [stack.enter_context(Tab(server)) for _ in range(VISITORS)]
        assert all(tab.is_open for tab in tabs)
        for tab in tabs:
            tab.wait_for(b"Data")
        with Tab(server) as refused:
            assert refused.answer.startswith(b"HTTP/1.1 503"), refused.answer
        own = (("Host", server.host), ("Cookie", server.cookie))
        page = request(server.port, head("/", *own))
        assert b"2 dashboards are open already" in page, page
        assert len(psutil.Process(server.process.pid).children()) == VISITORS
        tabs[0].close_cleanly()
        # It waits for the place that becomes free.
        with Tab(server) as accepted:
            assert accepted.is_open
            accepted.wait_for(b"Data")


@contextmanager
def few_files(server: Server) -> Iterator[int]:
    """The server may have few files open, as if thousands of connections were made."""
    before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    limit = open_files(server.process.pid) + 30
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield limit
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)


def slow_requests(server: Server) -> None:
    text = head("/", ("Host", server.host), ("X-Padding", "x" * 200))
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(server.port)) for _ in range(20)]
        end = time.monotonic() + SECONDS
        for byte in text:
            with contextlib.suppress(ConnectionError):
                for connection in connections:
                    connection.send(bytes([byte]))
            assert is_served(server)
            if open_files(server.process.pid) < 20:
                return
            assert time.monotonic() < end, "slow requests are not closed"
            time.sleep(0.2)


def silent_connections(server: Server) -> None:
    with few_files(server) as limit, contextlib.ExitStack() as stack:
        for _ in range(limit + 20):
            stack.enter_context(connect(server.port))
        wait_for(lambda: is_served(server), SECONDS)


def unread_answers(server: Server) -> None:
    text = head("/static/js/textual.js", ("Host", server.host), ("Cookie", server.cookie))
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(server.port, receive_buffer=2048)).sendall(text)
        assert is_served(server)


def end_while_training(folder: Path, number: signal.Signals) -> None:
    """Another process has the run, and no dashboard is left, whatever ends the server."""
    folder.mkdir()
    with Server(folder, **LONG) as server, Tab(server) as training, Tab(server) as idle:
        training.wait_for(b"Data")
        idle.wait_for(b"Data")
        training.say("stdin", "2")
        training.wait_for(b"Next run")
        training.say("stdin", " ")
        wait_for(lambda: server.events_of("Progress"))
        status = server.stop(number)
        assert status == (-number if number == signal.SIGKILL else 128 + number), status
        wait_for(lambda: len(server.events_of("RunStarted")) == 2)
        wait_for(lambda: not server.dashboards())
        server.stop_run()


CONCERN = Concern("browser", run, short=3, full=48)

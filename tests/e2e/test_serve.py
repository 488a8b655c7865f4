"""`fmnist-tui serve`: who is let in, what becomes of visitors and their runs, and a browser."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser import Page, browser, needs_chromium
from tests.e2e.serving import LONG, Guest, Seen, Server, guests, until
from tests.e2e.support import Home

UPGRADE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
HEADERS = (
    "Content-Security-Policy: default-src 'none'",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer",
    "Cache-Control: no-store",
    "X-Frame-Options: DENY",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("served")) as running:
        yield running


# -- who is let in ----------------------------------------------------------------------------


def bad_requests(server: Server) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    """What must not be let in: path and headers, by what is wrong with them."""
    host, port = server.host, server.port
    own, cookie = ("Host", host), ("Cookie", server.cookie)
    origin = ("Origin", f"http://{host}")
    name = f"fmnist-tui-{port}"
    wrong = server.token[:-1] + ("A" if server.token[-1] != "A" else "B")

    def socket_with(*headers: tuple[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
        return "/socket?width=80&height=24", (*UPGRADE, *headers)

    return {
        "no token": ("/", (own,)),
        "an empty token": ("/?token=", (own,)),
        "another token": (f"/?token={wrong}", (own,)),
        "two tokens": (f"/?token={server.token}&token={server.token}", (own,)),
        "a token that is no ASCII": ("/?token=%F0%9F%97%9D", (own,)),
        "a token where none is read": (f"/static/js/textual.js?token={server.token}", (own,)),
        "another cookie": ("/", (own, ("Cookie", f"{name}={wrong}"))),
        "a cookie of another name": ("/", (own, ("Cookie", f"token={server.token}"))),
        "a foreign name that leads here": ("/", (("Host", f"evil.example:{port}"), cookie)),
        "a name that only begins like ours": ("/", (("Host", f"{host}.evil.example"), cookie)),
        "our name without the port": ("/", (("Host", "127.0.0.1"), cookie)),
        "our name with another port": ("/", (("Host", f"127.0.0.1:{port + 1}"), cookie)),
        "another address of this machine": ("/", (("Host", f"127.0.0.2:{port}"), cookie)),
        "no name at all": ("/", (cookie,)),
        "two names": ("/", (own, ("Host", "evil.example"), cookie)),
        "a page of another origin": ("/", (own, cookie, ("Origin", "http://evil.example"))),
        "a socket without an origin": socket_with(own, cookie),
        "a socket of a sandbox": socket_with(own, cookie, ("Origin", "null")),
        "a socket of another site": socket_with(own, cookie, ("Origin", "http://evil.example")),
        "a socket of another port": socket_with(
            own, cookie, ("Origin", f"http://127.0.0.1:{port + 1}")
        ),
        "a socket of another scheme": socket_with(own, cookie, ("Origin", f"https://{host}")),
        "a socket of our other name": socket_with(
            own, cookie, ("Origin", f"http://localhost:{port}")
        ),
        "a socket of two origins": socket_with(own, cookie, origin, ("Origin", "http://evil")),
        "a socket without the token": socket_with(own, origin),
        "a socket with the token in its address": (
            f"/socket?token={server.token}",
            (*UPGRADE, own, origin),
        ),
        "a socket under a foreign name": socket_with(
            ("Host", f"evil.example:{port}"), cookie, ("Origin", f"http://evil.example:{port}")
        ),
    }


def test_of_bad_hosts_origins_and_tokens_none_is_accepted(server: Server) -> None:
    asked = bad_requests(server)
    assert len(asked) >= 12
    answers = {what: server.ask(path, *headers) for what, (path, headers) in asked.items()}
    accepted = {what: status for what, (status, _) in answers.items() if status not in (400, 403)}
    assert accepted == {}
    assert all(server.token not in text for _, text in answers.values())
    assert server.dashboards() == []


def test_the_same_requests_put_right_are_accepted(server: Server) -> None:
    own, cookie = ("Host", server.host), ("Cookie", server.cookie)
    status, text = server.ask(f"/?token={server.token}", own)
    assert status == 303
    assert "Location: /\r\n" in text
    kept = re.search(r"Set-Cookie: (.*?)\r\n", text)
    assert kept and kept[1].startswith(server.cookie)
    assert "HttpOnly" in kept[1] and "SameSite=Strict" in kept[1]
    for name in (server.host, f"localhost:{server.port}", f"[::1]:{server.port}"):
        assert server.ask("/", ("Host", name), cookie)[0] == 200
    status, _ = server.ask(
        "/socket?width=80&height=24", *UPGRADE, own, cookie, ("Origin", f"http://{server.host}")
    )
    assert status == 101
    until(lambda: not server.dashboards())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/page.css", 200),
        ("/page.js", 200),
        ("/static/css/xterm.css", 200),
        ("/static/", 403),
        ("/static", 403),
        ("/static/js", 403),
        ("/static/../server.py", 404),
        ("/static/%2e%2e/server.py", 404),
        ("/static/..%2f..%2fserver.py", 404),
        ("/download/anything", 404),
        ("/favicon.ico", 404),
    ],
)
def test_there_are_these_files_and_no_listing(server: Server, path: str, status: int) -> None:
    found, text = server.ask(path, ("Host", server.host), ("Cookie", server.cookie))
    assert found == status
    assert 'xterm.css"' not in text or path == "/"
    for header in HEADERS:
        assert header in text
    assert "aiohttp" not in text.partition("\r\n\r\n")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent_to_it(server: Server, method: str) -> None:
    headers = (("Host", server.host), ("Cookie", server.cookie), ("Content-Length", "0"))
    assert server.ask("/", *headers, method=method)[0] == 403


def test_the_page_refers_to_nothing_outside(server: Server) -> None:
    _, page = server.ask("/", ("Host", server.host), ("Cookie", server.cookie))
    _, style = server.ask("/page.css", ("Host", server.host), ("Cookie", server.cookie))
    leading = re.findall(r"(?:href|src)=\"([^\"]*)\"|url\(\"?([^\")]*)", page + style)
    found = [one or other for one, other in leading]
    assert len(found) >= 5
    assert all(address.startswith(("/", "data:")) and address[:2] != "//" for address in found)
    assert f'data-session-websocket-url="ws://{server.host}/socket"' in page


# -- what it cannot do ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--host", "0.0.0.0"), "only this machine"),
        (("--host", "192.168.1.7"), "only this machine"),
        (("--host", "::"), "only this machine"),
        (("--host", "example.org"), "only this machine"),
        (("--port", "99999"), "from 0 to 65535"),
        (("--visitors", "0"), "1 or more"),
    ],
)
def test_what_is_put_wrongly_is_said(home: Home, words: tuple[str, ...], told: str) -> None:
    assert told in home.complaint("serve", *words, status=2)


def test_a_port_in_use_is_said(home: Home, server: Server) -> None:
    said = home.complaint("serve", "--port", str(server.port), status=1)
    assert f"port {server.port} of 127.0.0.1 is in use" in said


@pytest.mark.parametrize("package", ["textual_serve", "aiohttp"])
def test_a_missing_package_is_said(package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None;"
        "from fmnist_tui.cli.main import run; sys.exit(run(['serve', '--port', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "serving needs the package textual-serve" in line


# -- visitors come and go ---------------------------------------------------------------------


async def test_one_visitor_more_than_there_are_places_gets_a_page_that_says_so(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, "--visitors", "1") as server:
        own, cookie = ("Host", server.host), ("Cookie", server.cookie)
        async with guests(server, 1) as [guest]:
            await guest.until("1 Data")
            status, text = await asyncio.to_thread(server.ask, "/", own, cookie)
            assert status == 503
            assert "One dashboard is open already" in text
            status, _ = await asyncio.to_thread(
                server.ask, "/socket", *UPGRADE, own, cookie, ("Origin", f"http://{server.host}")
            )
            assert status == 503
            assert len(server.dashboards()) == 1
        async with guests(server, 1) as [guest]:
            await guest.until("1 Data")
        assert server.told(signal.SIGTERM) == 143


def test_with_sighup_ignored_it_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = Server(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    with server:
        server.process.send_signal(signal.SIGHUP)
        assert server.ask("/", ("Host", server.host), ("Cookie", server.cookie))[0] == 200
        assert server.told(signal.SIGTERM) == 143


async def test_of_twenty_visitors_nothing_is_left(tmp_path: Path) -> None:
    """Half of them leave as a closed tab does, half as a killed browser does."""
    with Server(tmp_path, "--visitors", "20") as server:
        async with guests(server, 20) as visitors:
            await asyncio.gather(*(guest.until("1 Data", 100) for guest in visitors))
            assert len(server.dashboards()) == 20
            for guest in visitors[::2]:
                guest.vanish()
        await asyncio.to_thread(until, lambda: not server.dashboards())
        assert server.ask("/", ("Host", server.host), ("Cookie", server.cookie))[0] == 200


async def test_what_a_page_should_not_say_is_passed_over(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        async with guests(server, 1) as [guest]:
            for said in ("no json", "[]", "{}", "7", '["resize", {"width": "x"}]', '["stdin", 7]'):
                await guest.socket.send_str(said)
            await guest.socket.send_bytes(b"\x00")
            await guest.socket.send_json(["resize", {"width": 10**9, "height": -5}])
            await guest.socket.send_json(["resize", {"width": 120, "height": 36}])
            await guest.until("1 Data")


async def training(server: Server, guest: Guest) -> None:
    """Have a run under way, begun by this visitor."""
    await guest.until("1 Data")
    await guest.press("2")
    await guest.until("settings")
    await guest.press(" ")
    await asyncio.to_thread(until, lambda: len(server.said("Progress")) > 3)


def handed_over(server: Server) -> None:
    """The run was let go once, by the visitor's process, and taken up by another."""
    until(lambda: len(server.said("RunStarted")) == 2)
    first, second = server.said("RunStarted")
    [ended] = server.said("RunEnded")
    assert ended["reason"] == "detached"
    assert second["step"] == ended["step"] > 0
    assert second["pid"] != first["pid"]


@pytest.mark.parametrize("end", ["vanishes", "SIGTERM", "SIGKILL"])
async def test_a_run_goes_on_when_its_visitor_or_the_server_has_gone(
    tmp_path: Path, end: str
) -> None:
    with Server(tmp_path, **LONG) as server:
        async with guests(server, 1) as [guest]:
            await training(server, guest)
            if end == "vanishes":
                guest.vanish()
            elif end.startswith("SIG"):
                number = signal.Signals[end]
                status = await asyncio.to_thread(server.told, number)
                assert status == (143 if end == "SIGTERM" else -signal.SIGKILL)
        await asyncio.to_thread(handed_over, server)
        await asyncio.to_thread(until, lambda: not server.dashboards())
        if end == "SIGTERM":
            with socket.create_server(("127.0.0.1", server.port)):
                assert "goes on in process" in server.log.read_text()
        server.stop_run()


async def test_q_and_stop_end_the_run_and_the_page_is_told(tmp_path: Path) -> None:
    with Server(tmp_path, **LONG) as server:
        async with guests(server, 1) as [guest]:
            await training(server, guest)
            await guest.press("q")
            await guest.until("What is to become of it")
            await guest.press("s")
            message: Any = None
            while message is None or message.type.name == "BINARY":
                message = await guest.socket.receive(timeout=60)
            assert message.type.name in ("CLOSE", "CLOSED", "CLOSING")
        assert server.events()[-1]["reason"] == "stopped"


# -- in a browser -----------------------------------------------------------------------------


class Shown:
    """What a tab shows, and keys for it."""

    def __init__(self, page: Page, columns: int, rows: int) -> None:
        self.page, self.seen, self._taken = page, Seen((columns, rows)), 0

    @classmethod
    async def open(cls, page: Page, url: str) -> Shown:
        await page.view(1280, 800, "dark")
        await page.open(url)
        await page.until("document.body.classList.contains('-first-byte')")
        asked = next(found for found in page.requests if found.startswith("ws:"))
        size = re.search(r"width=(\d+)&height=(\d+)", asked)
        assert size
        return cls(page, int(size[1]), int(size[2]))

    async def until(self, pattern: str, seconds: float = 45.0) -> None:
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f"never saw {pattern!r}:\n{self.text}"
            await asyncio.sleep(0.05)

    @property
    def text(self) -> str:
        new = bytes(self.page.received[self._taken :])
        self._taken += len(new)
        self.seen.feed(new)
        return self.seen.text


@needs_chromium
async def test_a_training_is_begun_left_and_found_again_in_a_browser(tmp_path: Path) -> None:
    with Server(tmp_path, **LONG) as server:
        async with browser() as chromium:
            first = await Shown.open(await chromium.page(), server.url)
            assert server.token not in await first.page.ask("location.href")
            await first.until("1 Data")
            await first.page.press("2")
            await first.until("settings")
            await first.page.press(" ")
            await first.until(r"step [\d,]{2,}/")
            picture = tmp_path / "training.png"
            await first.page.shot(picture)
            colours = Image.open(picture).convert("RGB").getcolors(1 << 24)
            # What is drawn on a canvas is seen too, not only sent.
            assert colours is not None and len(colours) > 50
            outside = [url for url in first.page.requests if f"//{server.host}/" not in url]
            assert [url for url in outside if not url.startswith("data:")] == []
            assert [said for said in first.page.complaints if "WebGL" not in said] == []
            await first.page.close()
            await asyncio.to_thread(handed_over, server)
            second = await Shown.open(await chromium.page(), f"http://{server.host}/")
            await second.until(r"process \d+")
            await second.until(r"step [\d,]{2,}/")
            await second.page.press("s")
            await second.until("stopped")
            await second.page.press("q")
            await second.page.until("document.body.classList.contains('-closed')")
        assert server.events()[-1]["reason"] == "stopped"
        until(lambda: not server.dashboards())

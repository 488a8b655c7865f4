"""`fmnist-tui serve`: access checks, connections and their runs, and a browser."""

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

import pytest
from PIL import Image

from tests.browser import Page, browser, needs_chromium
from tests.e2e.fork_server import COLD
from tests.e2e.serving import LONG, UPGRADE, Server, SocketClient, TerminalView, connect_clients
from tests.e2e.support import LIMIT, Home, wait_for

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


# -- access ------------------------------------------------------------------------------------


def bad_requests(server: Server) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    """Requests to refuse, as path and headers, by what is wrong with them."""
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
        "a host name with the right beginning": ("/", (("Host", f"{host}.evil.example"), cookie)),
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


def test_bad_hosts_origins_and_tokens_are_refused(server: Server) -> None:
    requests = bad_requests(server)
    assert len(requests) >= 12
    answers = {what: server.request(path, *headers) for what, (path, headers) in requests.items()}
    accepted = {what: status for what, (status, _) in answers.items() if status not in (400, 403)}
    assert accepted == {}
    assert all(server.token not in text for _, text in answers.values())
    assert server.dashboards() == []


def test_correct_requests_are_accepted(server: Server) -> None:
    own, cookie = ("Host", server.host), ("Cookie", server.cookie)
    status, text = server.request(f"/?token={server.token}", own)
    assert status == 303
    assert "Location: /\r\n" in text
    cookies = re.search(r"Set-Cookie: (.*?)\r\n", text)
    assert cookies and cookies[1].startswith(server.cookie)
    assert "HttpOnly" in cookies[1] and "SameSite=Strict" in cookies[1]
    for name in (server.host, f"localhost:{server.port}", f"[::1]:{server.port}"):
        assert server.request("/", ("Host", name), cookie)[0] == 200
    status, _ = server.request(
        "/socket?width=80&height=24", *UPGRADE, own, cookie, ("Origin", f"http://{server.host}")
    )
    assert status == 101
    wait_for(lambda: not server.dashboards())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/page.css", 200),
        ("/page.js", 200),
        ("/static/css/xterm.css", 200),
        ("/static/", 404),
        ("/static/js", 404),
        (f"/static/{'a' * 300}", 404),
        ("/static/../server.py", 404),
        ("/static/%2e%2e/server.py", 404),
        ("/static/..%2f..%2fserver.py", 404),
        ("/download/anything", 404),
        ("/favicon.ico", 404),
    ],
)
def test_only_these_files_are_served_without_listings(
    server: Server, path: str, status: int
) -> None:
    actual, text = server.request(path, ("Host", server.host), ("Cookie", server.cookie))
    assert actual == status
    assert 'xterm.css"' not in text or path == "/"
    for header in HEADERS:
        assert header in text
    assert "aiohttp" not in text.partition("\r\n\r\n")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    headers = (("Host", server.host), ("Cookie", server.cookie), ("Content-Length", "0"))
    assert server.request("/", *headers, method=method)[0] == 403


def test_the_page_links_to_nothing_outside(server: Server) -> None:
    _, page = server.request("/", ("Host", server.host), ("Cookie", server.cookie))
    _, style = server.request("/page.css", ("Host", server.host), ("Cookie", server.cookie))
    links = re.findall(r"(?:href|src)=\"([^\"]*)\"|url\(\"?([^\")]*)", page + style)
    addresses = [first or second for first, second in links]
    assert len(addresses) >= 5
    assert all(address.startswith(("/", "data:")) and address[:2] != "//" for address in addresses)
    assert f'data-session-websocket-url="ws://{server.host}/socket"' in page


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--host", "0.0.0.0"), "this machine only"),
        (("--host", "192.168.1.7"), "this machine only"),
        (("--host", "::"), "this machine only"),
        (("--host", "example.org"), "this machine only"),
        (("--port", "99999"), "from 0 to 65535"),
        (("--visitors", "0"), "1 or more"),
    ],
)
def test_invalid_arguments_are_reported(home: Home, words: tuple[str, ...], error: str) -> None:
    assert error in home.error_line("serve", *words, status=2)


def test_a_port_in_use_is_reported(home: Home, server: Server) -> None:
    error = home.error_line("serve", "--port", str(server.port), status=1)
    assert f"port {server.port} of 127.0.0.1 is in use" in error


@pytest.mark.parametrize("package", ["textual_serve", "aiohttp"])
def test_a_missing_package_is_reported(package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None;"
        "from fmnist_tui.cli.main import run; sys.exit(run(['serve', '--port', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "needs the package textual-serve" in line


# -- connections -------------------------------------------------------------------------------


async def test_beyond_the_limit_of_connections_a_page_explains_it(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, "--visitors", "1") as server:
        own, cookie = ("Host", server.host), ("Cookie", server.cookie)
        async with connect_clients(server, 1) as [client]:
            await client.until("1 Data")
            status, text = await asyncio.to_thread(server.request, "/", own, cookie)
            assert status == 503
            assert "One dashboard is open already" in text
            status, _ = await asyncio.to_thread(
                server.request,
                "/socket",
                *UPGRADE,
                own,
                cookie,
                ("Origin", f"http://{server.host}"),
            )
            assert status == 503
            assert len(server.dashboards()) == 1
        async with connect_clients(server, 1) as [client]:
            await client.until("1 Data")
        assert server.stop(signal.SIGTERM) == 143


async def test_with_sighup_ignored_it_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = Server(tmp_path, **{COLD: "1"})
    finally:
        signal.signal(signal.SIGHUP, before)
    with server:
        server.process.send_signal(signal.SIGHUP)
        async with connect_clients(server, 1) as [client]:
            await client.until("1 Data")
        assert await asyncio.to_thread(server.stop, signal.SIGTERM) == 143


async def test_nothing_is_left_of_closed_and_broken_connections(tmp_path: Path) -> None:
    with Server(tmp_path, "--visitors", "4") as server:
        async with connect_clients(server, 4) as clients:
            await asyncio.gather(*(client.until_received(b"Data") for client in clients))
            await asyncio.to_thread(wait_for, lambda: len(server.dashboards()) == 4)
            for client in clients[::2]:
                client.disconnect()
        await asyncio.to_thread(wait_for, lambda: not server.dashboards())
        assert server.request("/", ("Host", server.host), ("Cookie", server.cookie))[0] == 200


async def start_training(server: Server, client: SocketClient) -> None:
    """Start a run in this client's dashboard."""
    await client.until("1 Data")
    await client.press("2")
    await client.until("Next run")
    await client.press(" ")
    await asyncio.to_thread(wait_for, lambda: len(server.events_of("Progress")) > 3)


def wait_for_handover(server: Server) -> None:
    """Wait until another process has taken the run over."""
    wait_for(lambda: len(server.events_of("RunStarted")) == 2)
    first, second = server.events_of("RunStarted")
    [ended] = server.events_of("RunEnded")
    assert ended["reason"] == "detached"
    assert second["step"] == ended["step"] > 0
    assert second["pid"] != first["pid"]


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
async def test_a_run_continues_without_the_server(tmp_path: Path, end: str) -> None:
    with Server(tmp_path, **LONG) as server:
        async with connect_clients(server, 1) as [client]:
            await start_training(server, client)
            status = await asyncio.to_thread(server.stop, signal.Signals[end])
            assert status == (143 if end == "SIGTERM" else -signal.SIGKILL)
            with socket.create_server(("127.0.0.1", server.port)):
                pass
        await asyncio.to_thread(wait_for_handover, server)
        await asyncio.to_thread(wait_for, lambda: not server.dashboards())
        if end == "SIGTERM":
            assert "continues in process" in server.log.read_text()
        server.stop_run()


async def test_quitting_and_stopping_ends_the_run_and_closes_the_page(tmp_path: Path) -> None:
    with Server(tmp_path, **LONG) as server:
        async with connect_clients(server, 1) as [client]:
            await start_training(server, client)
            await client.press("q")
            await client.until("What should happen to it")
            await client.press("s")
            await client.wait_for_close()
        assert server.events()[-1]["reason"] == "stopped"


# -- in a browser -----------------------------------------------------------------------------


class BrowserTab:
    """The terminal in a browser tab."""

    def __init__(self, page: Page, columns: int, rows: int) -> None:
        self.page, self.view, self._position = page, TerminalView((columns, rows)), 0

    @classmethod
    async def open(cls, page: Page, url: str) -> BrowserTab:
        await page.set_view(1280, 800, "dark")
        await page.open(url)
        await page.until("document.body.classList.contains('-first-byte')")
        socket_url = next(url for url in page.requests if url.startswith("ws:"))
        size = re.search(r"width=(\d+)&height=(\d+)", socket_url)
        assert size
        return cls(page, int(size[1]), int(size[2]))

    async def until(self, pattern: str, seconds: float = LIMIT) -> None:
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f"never saw {pattern!r}:\n{self.text}"
            await asyncio.sleep(0.05)

    @property
    def text(self) -> str:
        new = bytes(self.page.received[self._position :])
        self._position += len(new)
        self.view.feed(new)
        return self.view.text


@needs_chromium
async def test_a_training_continues_between_two_browser_tabs(tmp_path: Path) -> None:
    with Server(tmp_path, **LONG) as server:
        async with browser() as chromium:
            first = await BrowserTab.open(await chromium.page(), server.url)
            assert server.token not in await first.page.evaluate("location.href")
            await first.until("1 Data")
            await first.page.press("2")
            await first.until("Next run")
            await first.page.press(" ")
            await first.until(r"step [\d,]{2,}/")
            screenshot = tmp_path / "training.png"
            await first.page.screenshot(screenshot)
            colours = Image.open(screenshot).convert("RGB").getcolors(1 << 24)
            # The text is drawn, not only received.
            assert colours is not None and len(colours) > 50
            outside = [url for url in first.page.requests if f"//{server.host}/" not in url]
            assert [url for url in outside if not url.startswith("data:")] == []
            assert [error for error in first.page.errors if "WebGL" not in error] == []
            await first.page.close()
            await asyncio.to_thread(wait_for_handover, server)
            second = await BrowserTab.open(await chromium.page(), f"http://{server.host}/")
            await second.until(r"process \d+")
            await second.until(r"step [\d,]{2,}/")
            await second.page.press("s")
            await second.until("stopped")
            await second.page.press("q")
            await second.page.until("document.body.classList.contains('-closed')")
        assert server.events()[-1]["reason"] == "stopped"
        wait_for(lambda: not server.dashboards())

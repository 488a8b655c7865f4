"""Downloads from a loopback server that misbehaves in every way."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from fmnist_tui.data.load_progress import CancelError
from fmnist_tui.data.sources.download import fetch_file
from fmnist_tui.data.sources.errors import (
    BrokenError,
    LoginPageError,
    StatusError,
    UnreachableError,
)
from fmnist_tui.data.sources.http import Patience
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.file_lock import locked
from tests.unit.data.support import (
    QUICK,
    Handler,
    Server,
    complete,
    dripping,
    login_page,
    md5,
    redirect,
    serving,
    silent,
    stalled,
    then,
    truncated,
)

BODY = bytes(range(256)) * 2000  # half a megabyte
OTHER = BODY[::-1]


def get(server: Server, target: Path, **more: Any) -> None:
    options = {"md5": md5(BODY), "limit": 2**20, "patience": QUICK, **more}
    fetch_file(server.url + "file", target, **options)


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.suffix != ".lock")


def leave_partial_file(server: Server, target: Path) -> None:
    """Leave part of the file, as after a response that broke off."""
    with pytest.raises(BrokenError):
        get(server, target)
    assert 0 < target.with_name("file.partial").stat().st_size < len(BODY)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "file"


def test_a_file_is_downloaded_with_progress(target: Path) -> None:
    reports: list[tuple[int, int | None]] = []
    with serving(file=complete(BODY)) as server:
        get(server, target, on_progress=lambda done, total: reports.append((done, total)))
    assert target.read_bytes() == BODY
    assert leftovers(target) == ["file"]
    assert reports[0] == (0, len(BODY))
    assert reports[-1] == (len(BODY), len(BODY))
    assert reports == sorted(reports)


def test_a_correct_file_is_not_downloaded_again(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(BODY)
    with serving(file=complete(BODY)) as server:
        get(server, target)
        assert server.requests == []


def test_a_wrong_file_is_replaced(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(OTHER)
    with serving(file=complete(BODY)) as server:
        get(server, target)
    assert target.read_bytes() == BODY


def test_redirects_are_followed(target: Path) -> None:
    with serving(file=redirect("/there"), there=complete(BODY)) as server:
        get(server, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("to", ["/file", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_circular_redirects_and_other_schemes_are_an_error(target: Path, to: str) -> None:
    with serving(file=redirect(to)) as server, pytest.raises(UserError):
        get(server, target)
    assert not target.exists()


def test_a_url_that_is_not_http_is_an_error(target: Path) -> None:
    with pytest.raises(UserError):
        fetch_file("file:///etc/passwd", target, md5="", limit=10**6, patience=QUICK)
    assert leftovers(target) == []


def test_a_silent_server_is_an_error_after_the_time_limit(target: Path) -> None:
    started = time.monotonic()
    with serving(file=silent) as server, pytest.raises(UnreachableError, match="no answer"):
        get(server, target)
    assert time.monotonic() - started < 3


@contextmanager
def silent_port(backlog: int = 5) -> Iterator[str]:
    """HOST:PORT of a socket that never accepts; where the backlog is full, nothing connects."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener, ExitStack() as stack:
        address = listener.getsockname()
        for _ in range(3 if not backlog else 0):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        yield f"127.0.0.1:{address[1]}"


@contextmanager
def hanging_stage(stage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a file whose download hangs at this stage."""
    if stage == "name look-up":
        end = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait(20) and [])
        yield "http://mirror.invalid/file"
        end.set()
    elif stage in ("connection", "handshake"):
        with silent_port(0 if stage == "connection" else 5) as address:
            yield f"https://{address}/file"
    else:
        response = {"head": silent, "body": stalled(BODY, 5000), "drip": dripping(BODY, 0.05)}[
            stage
        ]
        with serving(file=response) as server:
            yield server.url + "file"


STAGES = ["name look-up", "connection", "handshake", "head", "body", "drip"]


@pytest.mark.parametrize("stage", STAGES)
def test_cancelling_works_at_every_stage(
    target: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = threading.Event()
    with hanging_stage(stage, monkeypatch) as url:
        threading.Timer(0.3, cancel.set).start()
        started = time.monotonic()
        with pytest.raises(CancelError):
            fetch_file(url, target, md5="", limit=2**20, patience=Patience(5, 15), cancel=cancel)
        assert time.monotonic() - started < 1.5
        # What is left of a name look-up must not keep the process from ending.
        look_ups = [thread for thread in threading.enumerate() if thread.name == "name look-up"]
        assert all(thread.daemon for thread in look_ups)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_time_limit(
    target: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()
    with hanging_stage(stage, monkeypatch) as url:
        with pytest.raises((UnreachableError, BrokenError)):
            fetch_file(url, target, md5="", limit=2**20, patience=QUICK)
        assert time.monotonic() - started < 4


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_environments_proxy_is_used(
    target: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with serving() as proxy:
        proxy.responses["http://mirror.invalid/file"] = complete(BODY)
        monkeypatch.setenv("http_proxy", scheme + proxy.url.removeprefix("http://"))
        fetch_file("http://mirror.invalid/file", target, md5=md5(BODY), limit=2**20)
        monkeypatch.setenv("no_proxy", "mirror.invalid")
        with pytest.raises(UnreachableError):
            fetch_file("http://mirror.invalid/other", target, md5="", limit=2**20)
        assert proxy.paths() == ["http://mirror.invalid/file"]
    assert target.read_bytes() == BODY


def test_a_refused_connection_is_reported_at_once(target: Path) -> None:
    with serving() as server:
        pass
    with pytest.raises(UnreachableError, match="refused"):
        get(server, target)


def test_an_untrusted_certificate_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] (_ssl.c:1006)")
    error.verify_message = "self-signed certificate"

    async def get(*_: object, **__: object) -> None:
        raise aiohttp.ClientConnectorCertificateError(cast(Any, None), error) from error

    monkeypatch.setattr(aiohttp.ClientSession, "get", get)
    with pytest.raises(UnreachableError) as caught:
        fetch_file("https://mirror.invalid/file", target, md5="", limit=2**20)
    assert str(caught.value) == "its certificate is not trusted (self-signed certificate)"


def test_a_stalled_server_is_an_error_after_the_time_limit(target: Path) -> None:
    started = time.monotonic()
    with serving(file=stalled(BODY, 5000)) as server, pytest.raises(BrokenError, match="stopped"):
        get(server, target)
    # There is one more request, because the first one made progress.
    assert time.monotonic() - started < 4


def test_a_dripping_server_counts_as_silent(target: Path) -> None:
    started = time.monotonic()
    with serving(file=dripping(BODY, 0.05)) as server, pytest.raises(BrokenError, match="stopped"):
        get(server, target)
    assert time.monotonic() - started < 3


def test_the_default_time_limits_are_below_half_a_minute() -> None:
    usual = Patience()
    assert usual.connect <= 5
    assert usual.connect + usual.silence < 30


def test_a_response_that_breaks_off_is_resumed_until_complete(target: Path) -> None:
    response = then(truncated(BODY, 100_000), complete(BODY))
    with serving(file=response) as server:
        get(server, target)
        assert server.requests[1][1]["Range"] == "bytes=100000-"
    assert target.read_bytes() == BODY


def test_a_truncated_response_is_reported_and_leaves_no_file(target: Path) -> None:
    message = "100,000 of 512,000 bytes"
    response = truncated(BODY, 100_000)
    with serving(file=response) as server, pytest.raises(BrokenError, match=message):
        get(server, target)
    assert not target.exists()


def test_the_next_call_resumes_the_download(target: Path) -> None:
    with serving(file=truncated(BODY, 100_000)) as server:
        leave_partial_file(server, target)
        server.responses["/file"] = complete(BODY)
        server.requests.clear()
        get(server, target)
        [(_, headers)] = server.requests
    assert headers["Range"] == "bytes=100000-"
    assert headers["If-Range"] == '"v1"'
    assert target.read_bytes() == BODY
    assert leftovers(target) == ["file"]


def test_a_changed_file_is_fetched_from_its_start(target: Path) -> None:
    with serving(file=truncated(OTHER, 100_000, tag='"old"')) as server:
        leave_partial_file(server, target)
        server.responses["/file"] = complete(BODY)
        get(server, target)
    assert target.read_bytes() == BODY


def test_a_server_without_ranges_sends_the_complete_file_again(target: Path) -> None:
    with serving(file=truncated(BODY, 100_000)) as server:
        leave_partial_file(server, target)
        server.responses["/file"] = complete(BODY, ranges=False)
        get(server, target)
    assert target.read_bytes() == BODY


def test_a_range_that_starts_elsewhere_is_not_appended(target: Path) -> None:
    def wrong_part(handler: Handler) -> None:
        if "Range" in handler.headers:
            end = len(BODY) - 1
            handler.start(206, Content_Range=f"bytes 7-{end}/{len(BODY)}", Content_Length=10)
            handler.wfile.write(BODY[7:17])
        else:
            complete(BODY)(handler)

    with serving(file=truncated(BODY, 100_000)) as server:
        leave_partial_file(server, target)
        server.responses["/file"] = wrong_part
        get(server, target)
    assert target.read_bytes() == BODY


def test_ranges_shorter_than_requested_are_continued(target: Path) -> None:
    def short_range(handler: Handler) -> None:
        first = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
        body = BODY[first : first + 150_000]
        content_range = f"bytes {first}-{first + len(body) - 1}/{len(BODY)}"
        handler.start(206, Content_Range=content_range, Content_Length=len(body), ETag='"v1"')
        handler.wfile.write(body)

    with serving(file=then(truncated(BODY, 100_000), short_range)) as server:
        get(server, target)
        ranges = [headers.get("Range") for _, headers in server.requests]
    assert ranges == [None, "bytes=100000-", "bytes=250000-", "bytes=400000-"]
    assert target.read_bytes() == BODY


def test_a_partial_file_longer_than_the_file_is_replaced(target: Path) -> None:
    with serving(file=truncated(BODY + BODY, 600_000)) as server:
        with pytest.raises(BrokenError):
            get(server, target, limit=2**21)
        server.responses["/file"] = complete(BODY)
        get(server, target, limit=2**21)
    assert target.read_bytes() == BODY


def test_a_damaged_partial_file_is_detected_and_fetched_again(target: Path) -> None:
    with serving(file=truncated(BODY, 100_000)) as server:
        leave_partial_file(server, target)
        target.with_name("file.partial").write_bytes(bytes(100_000))
        server.responses["/file"] = complete(BODY)
        get(server, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("note", [b"", b"[]", b'{"url": 3}', b"\xff\xfe"])
def test_a_partial_file_without_a_valid_note_is_not_used(target: Path, note: bytes) -> None:
    target.parent.mkdir()
    target.with_name("file.partial").write_bytes(OTHER[:1000])
    target.with_name("file.partial.json").write_bytes(note)
    with serving(file=complete(BODY)) as server:
        get(server, target)
        assert "Range" not in server.requests[0][1]
    assert target.read_bytes() == BODY


def test_a_partial_file_of_another_url_is_not_used(target: Path) -> None:
    with serving(file=truncated(BODY, 100_000), twin=complete(BODY)) as server:
        leave_partial_file(server, target)
        fetch_file(server.url + "twin", target, md5=md5(BODY), limit=2**20, patience=QUICK)
        assert "Range" not in server.requests[-1][1]
    assert target.read_bytes() == BODY


def test_a_complete_partial_file_is_not_downloaded_again(target: Path) -> None:
    target.parent.mkdir()
    with serving(file=complete(BODY)) as server:
        note = {"url": server.url + "file", "validator": '"v1"', "total": len(BODY)}
        target.with_name("file.partial").write_bytes(BODY)
        target.with_name("file.partial.json").write_text(json.dumps(note))
        get(server, target)
        assert server.requests == []
    assert target.read_bytes() == BODY


def test_wrong_bytes_of_the_right_size_are_deleted(target: Path) -> None:
    message = "not the expected file"
    with serving(file=complete(OTHER)) as server, pytest.raises(UserError, match=message):
        get(server, target)
    assert leftovers(target) == []


def test_a_login_page_is_recognised(target: Path) -> None:
    with (
        serving(file=login_page) as server,
        pytest.raises(LoginPageError, match="a login page answered"),
    ):
        get(server, target)
    assert not target.exists()


def test_status_511_is_recognised_as_a_login_page(target: Path) -> None:
    def login_required(handler: Handler) -> None:
        handler.start(511, Content_Length=0)

    with serving(file=login_required) as server, pytest.raises(LoginPageError):
        get(server, target)


def test_a_login_page_after_a_redirect_is_recognised(target: Path) -> None:
    with (
        serving(file=redirect("/login"), login=login_page) as server,
        pytest.raises(LoginPageError),
    ):
        get(server, target)


def test_a_login_page_served_as_data_is_recognised(target: Path) -> None:
    text = b"\n <HTML><head><title>Guest access</title></head></HTML>"
    with serving(file=complete(text)) as server, pytest.raises(LoginPageError):
        get(server, target)


def test_a_login_page_leaves_the_partial_file_alone(target: Path) -> None:
    with serving(file=truncated(BODY, 100_000)) as server:
        leave_partial_file(server, target)
        server.responses["/file"] = login_page
        with pytest.raises(LoginPageError):
            get(server, target)
    assert target.with_name("file.partial").read_bytes() == BODY[:100_000]


def test_a_refused_request_is_reported_with_its_status(target: Path) -> None:
    with serving() as server, pytest.raises(StatusError, match="HTTP 404 Not Found"):
        get(server, target)


def test_a_file_announced_as_too_large_is_not_downloaded(target: Path) -> None:
    with (
        serving(file=complete(BODY)) as server,
        pytest.raises(UserError, match="too large: 512,000"),
    ):
        get(server, target, limit=1000)
    assert leftovers(target) == []


def test_a_download_stops_at_the_size_limit(target: Path) -> None:
    def endless(handler: Handler) -> None:
        handler.start()
        for _ in range(1000):
            handler.wfile.write(BODY)

    with serving(file=endless) as server, pytest.raises(UserError, match="too large: more than"):
        get(server, target)
    assert not target.exists()
    assert target.with_name("file.partial").stat().st_size <= 2**20


def test_a_response_without_a_length_is_downloaded(target: Path) -> None:
    def without_length(handler: Handler) -> None:
        handler.start()
        handler.wfile.write(BODY)

    reports: list[int | None] = []
    with serving(file=without_length) as server:
        get(server, target, on_progress=lambda done, total: reports.append(total))
    assert target.read_bytes() == BODY
    assert set(reports) == {None}


def test_an_invalid_http_response_is_reported(target: Path) -> None:
    def rubbish(handler: Handler) -> None:
        handler.wfile.write(b"\x00\x01\x02 no http at all\n" * 50)

    with serving(file=rubbish) as server, pytest.raises(UserError):
        get(server, target)


def test_cancelling_keeps_the_partial_file(target: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    started = time.monotonic()
    with serving(file=stalled(BODY, 100_000)) as server, pytest.raises(CancelError):
        get(server, target, patience=Patience(5, 15), cancel=cancel)
    assert time.monotonic() - started < 2
    assert target.with_name("file.partial").stat().st_size == 100_000


def test_a_second_process_waits_and_then_finds_the_file(target: Path) -> None:
    target.parent.mkdir()
    waits = threading.Event()
    with serving(file=complete(BODY)) as server:
        second = threading.Thread(target=get, args=(server, target), kwargs={"on_wait": waits.set})
        with locked(target.with_name(".file.lock")):
            second.start()
            assert waits.wait(5)
            target.write_bytes(BODY)
        second.join(5)
        assert server.requests == []


def test_waiting_for_the_lock_can_be_cancelled(target: Path) -> None:
    target.parent.mkdir()
    cancel = threading.Event()
    lock = locked(target.with_name(".file.lock"))
    with lock, serving(file=complete(BODY)) as server, pytest.raises(CancelError):
        get(server, target, on_wait=cancel.set, cancel=cancel)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with (
        serving(file=complete(BODY)) as server,
        pytest.raises(UserError, match="cannot be written"),
    ):
        get(server, tmp_path / "taken" / "file")


def test_a_killed_download_is_resumed_by_the_next_process(target: Path) -> None:
    child = """
import sys
from pathlib import Path
from fmnist_tui.data.sources.download import fetch_file
fetch_file(sys.argv[1], Path(sys.argv[2]), md5=sys.argv[3], limit=2**20,
           on_progress=lambda done, total: print(done, flush=True))
"""
    with serving(file=stalled(BODY, 300_000)) as server:
        command = [sys.executable, "-c", child, server.url + "file", str(target), md5(BODY)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while int(process.stdout.readline()) < 300_000:
                pass
            os.kill(process.pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not target.exists()
        server.responses["/file"] = complete(BODY)
        get(server, target)
        assert server.requests[-1][1]["Range"] == "bytes=300000-"
    assert target.read_bytes() == BODY
    assert leftovers(target) == ["file"]

"""The fetcher against a loopback server of every bad manner."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

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
    cut_short,
    dribble,
    hang,
    md5,
    page,
    redirect,
    serving,
    stall,
    then,
    whole,
)

BODY = bytes(range(256)) * 2000  # half a megabyte
OTHER = BODY[::-1]


def get(server: Server, target: Path, **more: Any) -> None:
    options = {"md5": md5(BODY), "limit": 2**20, "patience": QUICK, **more}
    fetch_file(server.url + "file", target, **options)


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.suffix != ".lock")


def leave_half(server: Server, target: Path) -> None:
    """Half of the file there, as after an answer that broke off."""
    with pytest.raises(BrokenError):
        get(server, target)
    assert 0 < target.with_name("file.partial").stat().st_size < len(BODY)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "file"


def test_a_file_comes_whole_and_its_progress_is_told(target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with serving(file=whole(BODY)) as server:
        get(server, target, on_progress=lambda done, total: told.append((done, total)))
    assert target.read_bytes() == BODY
    assert leftovers(target) == ["file"]
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)


def test_a_file_that_is_there_and_right_is_not_asked_for(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(BODY)
    with serving(file=whole(BODY)) as server:
        get(server, target)
        assert server.asked == []


def test_a_file_that_is_there_and_wrong_is_replaced(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(OTHER)
    with serving(file=whole(BODY)) as server:
        get(server, target)
    assert target.read_bytes() == BODY


def test_redirects_are_followed(target: Path) -> None:
    with serving(file=redirect("/there"), there=whole(BODY)) as server:
        get(server, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("to", ["/file", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_in_circles_or_to_other_schemes_are_refused(target: Path, to: str) -> None:
    with serving(file=redirect(to)) as server, pytest.raises(UserError):
        get(server, target)
    assert not target.exists()


def test_an_address_that_is_no_web_address_is_refused(target: Path) -> None:
    with pytest.raises(UserError):
        fetch_file("file:///etc/passwd", target, md5="", limit=10**6, patience=QUICK)
    assert leftovers(target) == []


def test_a_server_that_says_nothing_is_left_in_time(target: Path) -> None:
    began = time.monotonic()
    with serving(file=hang) as server, pytest.raises(UnreachableError, match="no answer"):
        get(server, target)
    assert time.monotonic() - began < 3


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
        manner = {"head": hang, "body": stall(BODY, 5000), "drip": dribble(BODY, 0.05)}[stage]
        with serving(file=manner) as server:
            yield server.url + "file"


STAGES = ["name look-up", "connection", "handshake", "head", "body", "drip"]


@pytest.mark.parametrize("stage", STAGES)
def test_cancelling_works_at_every_stage(
    target: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = threading.Event()
    with hanging_stage(stage, monkeypatch) as url:
        threading.Timer(0.3, cancel.set).start()
        began = time.monotonic()
        with pytest.raises(CancelError):
            fetch_file(url, target, md5="", limit=2**20, patience=Patience(5, 15), cancel=cancel)
        assert time.monotonic() - began < 1.5
        # What is left of a name look-up must not keep the process from ending.
        look_ups = [thread for thread in threading.enumerate() if thread.name == "name look-up"]
        assert all(thread.daemon for thread in look_ups)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_time_limit(
    target: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    with hanging_stage(stage, monkeypatch) as url:
        with pytest.raises((UnreachableError, BrokenError)):
            fetch_file(url, target, md5="", limit=2**20, patience=QUICK)
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_environments_proxy_is_used(
    target: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with serving() as proxy:
        proxy.manners["http://mirror.invalid/file"] = whole(BODY)
        monkeypatch.setenv("http_proxy", scheme + proxy.url.removeprefix("http://"))
        fetch_file("http://mirror.invalid/file", target, md5=md5(BODY), limit=2**20)
        monkeypatch.setenv("no_proxy", "mirror.invalid")
        with pytest.raises(UnreachableError):
            fetch_file("http://mirror.invalid/other", target, md5="", limit=2**20)
        assert proxy.paths() == ["http://mirror.invalid/file"]
    assert target.read_bytes() == BODY


def test_a_server_that_is_not_there_is_told_at_once(target: Path) -> None:
    with serving() as server:
        pass
    with pytest.raises(UnreachableError, match="refused"):
        get(server, target)


def test_a_server_that_stops_in_the_middle_is_left_in_time(target: Path) -> None:
    began = time.monotonic()
    with serving(file=stall(BODY, 5000)) as server, pytest.raises(BrokenError, match="stopped"):
        get(server, target)
    # It is asked again once, since the first time brought something.
    assert time.monotonic() - began < 4


def test_a_byte_now_and_then_counts_as_nothing(target: Path) -> None:
    began = time.monotonic()
    with serving(file=dribble(BODY, 0.05)) as server, pytest.raises(BrokenError, match="stopped"):
        get(server, target)
    assert time.monotonic() - began < 3


def test_the_default_patience_gives_up_within_half_a_minute() -> None:
    usual = Patience()
    assert usual.connect <= 5
    assert usual.connect + usual.silence < 30


def test_an_answer_that_keeps_breaking_off_is_taken_up_until_it_is_whole(target: Path) -> None:
    manner = then(cut_short(BODY, 100_000), whole(BODY))
    with serving(file=manner) as server:
        get(server, target)
        assert server.asked[1][1]["Range"] == "bytes=100000-"
    assert target.read_bytes() == BODY


def test_a_truncated_answer_is_told_and_leaves_no_file(target: Path) -> None:
    words = "100,000 of 512,000 bytes"
    manner = cut_short(BODY, 100_000)
    with serving(file=manner) as server, pytest.raises(BrokenError, match=words):
        get(server, target)
    assert not target.exists()


def test_the_next_call_goes_on_where_the_last_one_ended(target: Path) -> None:
    with serving(file=cut_short(BODY, 100_000)) as server:
        leave_half(server, target)
        server.manners["/file"] = whole(BODY)
        server.asked.clear()
        get(server, target)
        [(_, headers)] = server.asked
    assert headers["Range"] == "bytes=100000-"
    assert headers["If-Range"] == '"v1"'
    assert target.read_bytes() == BODY
    assert leftovers(target) == ["file"]


def test_a_changed_file_is_fetched_from_its_start(target: Path) -> None:
    with serving(file=cut_short(OTHER, 100_000, tag='"old"')) as server:
        leave_half(server, target)
        server.manners["/file"] = whole(BODY)
        get(server, target)
    assert target.read_bytes() == BODY


def test_a_server_without_ranges_is_asked_for_everything(target: Path) -> None:
    with serving(file=cut_short(BODY, 100_000)) as server:
        leave_half(server, target)
        server.manners["/file"] = whole(BODY, ranges=False)
        get(server, target)
    assert target.read_bytes() == BODY


def test_a_part_that_begins_elsewhere_is_not_stuck_on(target: Path) -> None:
    def wrong_part(handler: Handler) -> None:
        if "Range" in handler.headers:
            end = len(BODY) - 1
            handler.start(206, Content_Range=f"bytes 7-{end}/{len(BODY)}", Content_Length=10)
            handler.wfile.write(BODY[7:17])
        else:
            whole(BODY)(handler)

    with serving(file=cut_short(BODY, 100_000)) as server:
        leave_half(server, target)
        server.manners["/file"] = wrong_part
        get(server, target)
    assert target.read_bytes() == BODY


def test_a_part_beyond_the_end_starts_clean(target: Path) -> None:
    with serving(file=cut_short(BODY + BODY, 600_000)) as server:
        with pytest.raises(BrokenError):
            get(server, target, limit=2**21)
        server.manners["/file"] = whole(BODY)
        get(server, target, limit=2**21)
    assert target.read_bytes() == BODY


def test_a_damaged_half_is_found_out_and_fetched_again(target: Path) -> None:
    with serving(file=cut_short(BODY, 100_000)) as server:
        leave_half(server, target)
        target.with_name("file.partial").write_bytes(bytes(100_000))
        server.manners["/file"] = whole(BODY)
        get(server, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("note", [b"", b"[]", b'{"url": 3}', b"\xff\xfe"])
def test_a_half_without_a_sound_note_is_not_used(target: Path, note: bytes) -> None:
    target.parent.mkdir()
    target.with_name("file.partial").write_bytes(OTHER[:1000])
    target.with_name("file.partial.json").write_bytes(note)
    with serving(file=whole(BODY)) as server:
        get(server, target)
        assert "Range" not in server.asked[0][1]
    assert target.read_bytes() == BODY


def test_a_half_of_another_address_is_not_used(target: Path) -> None:
    with serving(file=cut_short(BODY, 100_000), twin=whole(BODY)) as server:
        leave_half(server, target)
        fetch_file(server.url + "twin", target, md5=md5(BODY), limit=2**20, patience=QUICK)
        assert "Range" not in server.asked[-1][1]
    assert target.read_bytes() == BODY


def test_a_whole_file_that_only_lacked_its_name_is_not_fetched_again(target: Path) -> None:
    target.parent.mkdir()
    with serving(file=whole(BODY)) as server:
        note = {"url": server.url + "file", "validator": '"v1"', "total": len(BODY)}
        target.with_name("file.partial").write_bytes(BODY)
        target.with_name("file.partial.json").write_text(json.dumps(note))
        get(server, target)
        assert server.asked == []
    assert target.read_bytes() == BODY


def test_wrong_bytes_of_the_right_size_are_refused_and_forgotten(target: Path) -> None:
    words = "not the expected file"
    with serving(file=whole(OTHER)) as server, pytest.raises(UserError, match=words):
        get(server, target)
    assert leftovers(target) == []


def test_a_login_page_is_called_that(target: Path) -> None:
    with serving(file=page) as server, pytest.raises(LoginPageError, match="a login page answered"):
        get(server, target)
    assert not target.exists()


def test_a_network_that_asks_for_a_login_by_its_status_is_called_that(target: Path) -> None:
    def login_required(handler: Handler) -> None:
        handler.start(511, Content_Length=0)

    with serving(file=login_required) as server, pytest.raises(LoginPageError):
        get(server, target)


def test_a_login_page_after_a_redirect_is_called_that(target: Path) -> None:
    with serving(file=redirect("/login"), login=page) as server, pytest.raises(LoginPageError):
        get(server, target)


def test_a_login_page_that_poses_as_data_is_called_that(target: Path) -> None:
    text = b"\n <HTML><head><title>Guest access</title></head></HTML>"
    with serving(file=whole(text)) as server, pytest.raises(LoginPageError):
        get(server, target)


def test_a_login_page_does_not_cost_the_half_that_is_there(target: Path) -> None:
    with serving(file=cut_short(BODY, 100_000)) as server:
        leave_half(server, target)
        server.manners["/file"] = page
        with pytest.raises(LoginPageError):
            get(server, target)
    assert target.with_name("file.partial").read_bytes() == BODY[:100_000]


def test_a_refusal_is_told_with_its_number(target: Path) -> None:
    with serving() as server, pytest.raises(StatusError, match="HTTP 404 Not Found"):
        get(server, target)


def test_a_file_said_to_be_too_large_is_not_begun(target: Path) -> None:
    with serving(file=whole(BODY)) as server, pytest.raises(UserError, match="too large: 512,000"):
        get(server, target, limit=1000)
    assert leftovers(target) == []


def test_a_file_that_turns_out_too_large_is_stopped(target: Path) -> None:
    def endless(handler: Handler) -> None:
        handler.start()
        for _ in range(1000):
            handler.wfile.write(BODY)

    with serving(file=endless) as server, pytest.raises(UserError, match="too large: more than"):
        get(server, target)
    assert not target.exists()
    assert target.with_name("file.partial").stat().st_size <= 2**20


def test_a_length_that_is_not_told_is_no_hindrance(target: Path) -> None:
    def without_length(handler: Handler) -> None:
        handler.start()
        handler.wfile.write(BODY)

    told: list[int | None] = []
    with serving(file=without_length) as server:
        get(server, target, on_progress=lambda done, total: told.append(total))
    assert target.read_bytes() == BODY
    assert set(told) == {None}


def test_rubbish_instead_of_http_is_told(target: Path) -> None:
    def rubbish(handler: Handler) -> None:
        handler.wfile.write(b"\x00\x01\x02 no http at all\n" * 50)

    with serving(file=rubbish) as server, pytest.raises(UserError):
        get(server, target)


def test_cancelling_ends_a_wait_at_once_and_keeps_what_came(target: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    began = time.monotonic()
    with serving(file=stall(BODY, 100_000)) as server, pytest.raises(CancelError):
        get(server, target, patience=Patience(5, 15), cancel=cancel)
    assert time.monotonic() - began < 2
    assert target.with_name("file.partial").stat().st_size == 100_000


def test_a_second_process_waits_and_then_finds_the_file(target: Path) -> None:
    target.parent.mkdir()
    waits = threading.Event()
    with serving(file=whole(BODY)) as server:
        second = threading.Thread(target=get, args=(server, target), kwargs={"on_wait": waits.set})
        with locked(target.with_name(".file.lock")):
            second.start()
            assert waits.wait(5)
            target.write_bytes(BODY)
        second.join(5)
        assert server.asked == []


def test_waiting_for_the_lock_can_be_cancelled(target: Path) -> None:
    target.parent.mkdir()
    cancel = threading.Event()
    lock = locked(target.with_name(".file.lock"))
    with lock, serving(file=whole(BODY)) as server, pytest.raises(CancelError):
        get(server, target, on_wait=cancel.set, cancel=cancel)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with serving(file=whole(BODY)) as server, pytest.raises(UserError, match="cannot be written"):
        get(server, tmp_path / "taken" / "file")


def test_a_process_killed_half_way_leaves_what_the_next_one_goes_on_with(target: Path) -> None:
    child = """
import sys
from pathlib import Path
from fmnist_tui.data.sources.download import fetch_file
fetch_file(sys.argv[1], Path(sys.argv[2]), md5=sys.argv[3], limit=2**20,
           on_progress=lambda done, total: print(done, flush=True))
"""
    with serving(file=stall(BODY, 300_000)) as server:
        command = [sys.executable, "-c", child, server.url + "file", str(target), md5(BODY)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while int(process.stdout.readline()) < 300_000:
                pass
            os.kill(process.pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not target.exists()
        server.manners["/file"] = whole(BODY)
        get(server, target)
        assert server.asked[-1][1]["Range"] == "bytes=300000-"
    assert target.read_bytes() == BODY
    assert leftovers(target) == ["file"]

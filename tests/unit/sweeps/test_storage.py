"""Storage locations: parsing, opening with a time limit, hidden passwords."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps.journal import AtomicLineFile
from fmnist_tui.sweeps.storage import connect, parse_location
from fmnist_tui.util.errors import UserError

SECRET = "s3cr3t-word"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(storage.VARIABLE, raising=False)


def test_by_default_studies_are_in_a_file_beside_the_runs(tmp_path: Path) -> None:
    usual = parse_location(None, tmp_path)
    assert usual.path == tmp_path / "sweeps.db" and not usual.is_journal and usual.is_missing
    assert connect(usual).get_all_studies() == []
    assert not usual.is_missing


def test_the_environment_sets_the_default_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(storage.VARIABLE, f"journal:{tmp_path}/a.log")
    assert parse_location(None, tmp_path).path == tmp_path / "a.log"
    assert parse_location(f"sqlite:///{tmp_path}/b.db", tmp_path).path == tmp_path / "b.db"


def test_a_journal_is_selected_by_its_path(tmp_path: Path) -> None:
    location = parse_location(f"journal:{tmp_path}/studies.log", tmp_path)
    assert location.is_journal and location.public_url == f"journal:{tmp_path}/studies.log"
    assert connect(location).get_all_studies() == []


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "me@corp" / "what?%20"
    folder.mkdir(parents=True)
    location = parse_location(None, folder)
    assert connect(location).get_all_studies() == []
    assert [path.name for path in folder.iterdir()] == ["sweeps.db"]
    # The recorded URL leads to the same place.
    assert parse_location(location.public_url, tmp_path) == location


def test_no_password_is_shown_or_written(tmp_path: Path) -> None:
    location = parse_location(
        f"postgresql://me:{SECRET}@db.example/studies?sslpassword={SECRET}", tmp_path
    )
    assert location.public_url == "postgresql+psycopg://me@db.example/studies"
    assert SECRET not in f"{location.name} {location!r}"
    assert location.url is not None and location.url.password == SECRET
    assert SECRET not in location.redact(f"cannot log in with {SECRET}")


@pytest.mark.parametrize(
    ("storage", "line"),
    [
        ("sweeps.db", "--storage sweeps.db is not a storage: give a database URL"),
        ("journal:", "needs a file: journal:FILE"),
        ("sqlite://", "needs a file: sqlite:///FILE"),
        ("sqlite:///:memory:", "needs a file: sqlite:///FILE"),
        (f"postgresql://me:{SECRET}@db:port/x", "postgresql://… cannot be read as a URL"),
        (
            f"postgresql://me:{SECRET}@{SECRET}@db/x",
            "special characters of a password percent-encoded, such as %40",
        ),
    ],
)
def test_an_invalid_storage_is_refused_in_one_line(storage: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        parse_location(storage, tmp_path)
    assert line in str(caught.value) and "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("storage", "line"),
    [
        ("foo://x", "--storage foo:// is not supported"),
        ("sqlite:///{folder}/none/x.db", "there is no folder"),
        ("sqlite:///{folder}", "it is a folder"),
        ("sqlite:///{folder}/text", "file is not a database"),
        ("journal:{folder}/text", "it is not an Optuna journal"),
        ("journal:{folder}/none/x.log", "there is no folder"),
        ("oracle+oracledb://me:s3cr3t-word@db/x", "needs the driver oracledb, which is not"),
        ("postgresql://me:s3cr3t-word@127.0.0.1:1/x", "Connection refused"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_reported_in_one_line(
    storage: str, line: str, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("neither a database nor a journal\n" * 100)
    with pytest.raises(UserError) as caught:
        connect(parse_location(storage.format(folder=tmp_path), tmp_path))
    assert line in str(caught.value) and "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_missing_driver_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str, *rest: object) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name="psycopg")

    import sqlalchemy.dialects.postgresql.psycopg as dialect

    monkeypatch.setattr(dialect.PGDialect_psycopg, "import_dbapi", lambda: without("psycopg"))
    with pytest.raises(UserError) as caught:
        connect(parse_location(f"postgresql://me:{SECRET}@127.0.0.1/x", tmp_path))
    assert "needs the driver psycopg" in str(caught.value)
    assert str(caught.value).endswith("pip install fmnist-tui[postgres]")
    assert SECRET not in str(caught.value)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_connecting_to_a_silent_server_times_out(
    silent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage.CONNECT_SECONDS < 10
    monkeypatch.setattr(storage, "CONNECT_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"has not answered in 0 s: check the address"):
        connect(parse_location(f"postgresql://me:{SECRET}@127.0.0.1:{silent}/x", tmp_path))
    assert time.monotonic() - started < 3


def test_a_journal_on_a_full_disk_has_no_partial_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "studies.log"
    journal = AtomicLineFile(str(path))
    journal.append_logs([{"op_code": 1, "name": "first"}])
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        write(descriptor, bytes(data)[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fmnist_tui.runs.log.os.write", full)
    with pytest.raises(OSError, match="No space left"):
        journal.append_logs([{"op_code": 2, "name": "lost"}])
    monkeypatch.undo()
    journal.append_logs([{"op_code": 3, "name": "later"}])
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()] == [
        "first",
        "later",
    ]
    assert [log["name"] for log in journal.read_logs(0)] == ["first", "later"]


def test_a_partial_line_left_by_a_killed_worker_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "studies.log"
    journal = AtomicLineFile(str(path))
    journal.append_logs([{"op_code": 1, "name": "first"}])
    with path.open("a") as file:
        file.write('{"op_code": 2, "na')
    assert [log["name"] for log in journal.read_logs(0)] == ["first"]
    journal.append_logs([{"op_code": 3, "name": "later"}])
    assert [log["name"] for log in journal.read_logs(0)] == ["first", "later"]

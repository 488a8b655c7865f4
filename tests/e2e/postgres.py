"""A temporary PostgreSQL server on loopback."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("initdb", "postgres")
START_SECONDS = 90.0
# The server refuses to run as root; for root, one of these accounts runs it.
ACCOUNTS = ("postgres", "nobody")


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`, or None if they are not installed."""
    initdb = shutil.which("initdb")
    folders = [Path(initdb).resolve().parent] if initdb else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (folder for folder in folders if all((folder / name).exists() for name in PROGRAMS)), None
    )


@contextmanager
def cluster() -> Iterator[str]:
    """The URL of an empty database, including its password."""
    folder = programs()
    assert folder is not None
    account = _account()
    root = Path(tempfile.mkdtemp(prefix="fmnist-pg-", dir="/tmp"))
    password = secrets.token_hex(8)
    try:
        (root / "password").write_text(password)
        if account is not None:
            for path in (root, root / "password"):
                os.chown(path, account.pw_uid, account.pw_gid)
        data = root / "data"
        initdb = [str(folder / "initdb"), "-D", str(data), "-U", "tester", "--no-sync"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={root / 'password'}", "-E", "UTF8"]
        _run(initdb, root, account)
        settings = [f"unix_socket_directories={root}", "listen_addresses=127.0.0.1"]
        port = _free_port()
        settings = [word for setting in settings for word in ("-c", setting)]
        server = subprocess.Popen(
            [str(folder / "postgres"), "-D", str(data), "-F", "-p", str(port), *settings],
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=(root / "log").open("wb"),
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
        )
        try:
            url = f"postgresql://tester:{password}@127.0.0.1:{port}/postgres"
            _wait(url, server, root / "log")
            yield url
        finally:
            server.terminate()
            server.wait(START_SECONDS)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in ACCOUNTS if name in known)


def _run(words: list[str], root: Path, account: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        words,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
    )
    assert done.returncode == 0, done.stderr


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])

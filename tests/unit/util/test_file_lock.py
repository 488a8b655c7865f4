"""Locks between processes; what run locks add is in unit/runs/test_lock.py."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest

from fmnist_tui.util.file_lock import locked, read_if_locked, try_lock
from tests.unit.support import read_line, send_line, start_python

HOLDER = """
import os, sys, time
from pathlib import Path
from fmnist_tui.util.file_lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    child = os.fork()
    if child == 0:
        print("forked", flush=True)
        time.sleep(60)
        os._exit(0)
    sys.stdin.readline()
    os.kill(child, 9)
"""


def test_a_wait_is_reported_once_and_ends_when_the_holder_dies(tmp_path: Path) -> None:
    steps: list[str] = []
    polls = threading.Event()

    def wait() -> None:
        with locked(tmp_path / "lock", polls.set, lambda: steps.append("waiting")):
            steps.append("held")

    waiter = threading.Thread(target=wait)
    with start_python(HOLDER, tmp_path / "lock") as holder:
        assert (read_line(holder), read_line(holder)) == ("held", "forked")
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        try:
            waiter.start()
            assert polls.wait(5)
            holder.kill()
            waiter.join(5)
            assert steps == ["waiting", "held"]
        finally:
            for child in children:
                os.kill(int(child), signal.SIGKILL)


def test_without_polling_the_system_wakes_the_waiter(tmp_path: Path) -> None:
    with start_python(HOLDER, tmp_path / "lock") as holder:
        assert (read_line(holder), read_line(holder)) == ("held", "forked")
        threading.Timer(0.1, send_line, (holder, "go on")).start()
        with locked(tmp_path / "lock"):
            assert read_if_locked(tmp_path / "lock", 10) == b""
    assert read_if_locked(tmp_path / "lock", 10) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_an_error_raised_during_a_wait_ends_it(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    path = tmp_path / "lock"
    with locked(path), pytest.raises(error), locked(path, fail):
        pass
    with locked(path), pytest.raises(error), locked(path, on_wait=fail):
        pass
    assert read_if_locked(path, 10) is None


def test_a_folder_can_be_locked(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with locked(tmp_path), pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    assert not any(tmp_path.iterdir())


def test_on_a_file_system_without_locks_nothing_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_: int, __: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path / "lock", on_wait=lambda: pytest.fail("waits")):
        pass
    with pytest.raises(OSError, match="No locks available"):
        try_lock(tmp_path / "lock")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic link"), locked(tmp_path / "lock"):
        pass
    assert not (tmp_path / "other").exists()

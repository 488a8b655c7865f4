"""The lock of a run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_tui.runs.lock import LockHolder, RunLock, find_holder
from fmnist_tui.util.errors import UserError
from tests.unit.support import read_line, send_line, start_python

KEEPER = """
import sys
from pathlib import Path
from fmnist_tui.runs.lock import RunLock

lock = RunLock.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
lock.release()
print("free", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def keeper(folder: Path, script: str = KEEPER) -> Iterator[subprocess.Popen[str]]:
    with start_python(script, folder) as process:
        assert read_line(process) == "held"
        yield process
        process.kill()


def test_a_second_process_is_refused_with_the_holder(tmp_path: Path) -> None:
    with keeper(tmp_path) as other:
        with pytest.raises(UserError) as caught:
            RunLock.acquire(tmp_path)
        assert f"process {other.pid} on {socket.gethostname()}" in str(caught.value)
        assert tmp_path.name in str(caught.value)
        send_line(other, "free it")
        assert read_line(other) == "free"
        RunLock.acquire(tmp_path).release()


def test_a_second_lock_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with RunLock.acquire(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} "):
        RunLock.acquire(tmp_path)
    RunLock.acquire(tmp_path).release()


def test_the_holder_is_known_with_host_pid_and_start_time(tmp_path: Path) -> None:
    assert find_holder(tmp_path) is None
    before = time.time()
    with keeper(tmp_path) as other:
        holder = find_holder(tmp_path)
        assert holder is not None
        assert (holder.host, holder.pid) == (socket.gethostname(), other.pid)
        assert before - 1 < holder.started < time.time() + 1
    assert find_holder(tmp_path) is None


def test_a_killed_process_frees_its_run(tmp_path: Path) -> None:
    with keeper(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert (tmp_path / "lock").read_text() != ""
        assert find_holder(tmp_path) is None
        with RunLock.acquire(tmp_path):
            assert find_holder(tmp_path) is not None


def test_releasing_twice_is_allowed(tmp_path: Path) -> None:
    lock = RunLock.acquire(tmp_path)
    lock.release()
    with RunLock.acquire(tmp_path):
        lock.release()
        assert find_holder(tmp_path) is not None


FORKER = """
import os, subprocess, sys, time
from pathlib import Path
from fmnist_tui.runs.lock import RunLock

lock = RunLock.acquire(Path(sys.argv[1]))
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
program = subprocess.Popen(["sleep", "60"], close_fds=False)
print("held", flush=True)
sys.stdin.readline()
"""


def test_children_do_not_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    with keeper(tmp_path, FORKER) as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert len(children) == 2
        assert find_holder(tmp_path) is not None
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            for child in children:
                os.kill(int(child), 0)
            # The child releases the lock first of all, but may not have run yet.
            end = time.monotonic() + 60
            while find_holder(tmp_path) is not None:
                assert time.monotonic() < end
                time.sleep(0.01)
        finally:
            for child in children:
                os.kill(int(child), signal.SIGKILL)


LEAVER = """
import os, sys
from pathlib import Path
from fmnist_tui.runs.lock import RunLock

lock = RunLock.acquire(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    lock.release()
    os._exit(0)
os.waitpid(child, 0)
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_forked_child_cannot_free_the_lock_of_its_parent(tmp_path: Path) -> None:
    with keeper(tmp_path, LEAVER) as parent:
        holder = find_holder(tmp_path)
        assert holder is not None and holder.pid == parent.pid


CONTENDER = """
import sys
from pathlib import Path
from fmnist_tui.util.errors import UserError
from fmnist_tui.runs.lock import RunLock

print("ready", flush=True)
lock = None
for line in sys.stdin:
    if line == "try\\n":
        try:
            lock = RunLock.acquire(Path(sys.argv[1]))
            print("won", flush=True)
        except UserError:
            print("lost", flush=True)
    elif lock is not None:
        lock.release()
        lock = None
"""


def test_only_one_of_eight_processes_gets_the_lock(tmp_path: Path) -> None:
    processes = [start_python(CONTENDER, tmp_path) for _ in range(8)]
    is_over = threading.Event()

    def keep_reading() -> None:
        while not is_over.is_set():
            find_holder(tmp_path)

    reader = threading.Thread(target=keep_reading)
    reader.start()
    try:
        assert [read_line(process) for process in processes] == ["ready"] * 8
        for _ in range(100):
            for process in processes:
                send_line(process, "try")
            answers = [read_line(process) for process in processes]
            assert sorted(answers) == ["lost"] * 7 + ["won"]
            winner = processes[answers.index("won")]
            holder = find_holder(tmp_path)
            assert holder is not None and holder.pid == winner.pid
            for process in processes:
                send_line(process, "free")
            while find_holder(tmp_path) is not None:
                time.sleep(0.001)
    finally:
        is_over.set()
        reader.join()
        for process in processes:
            process.communicate()


def test_reading_the_lock_does_not_prevent_a_process_from_acquiring_it(tmp_path: Path) -> None:
    RunLock.acquire(tmp_path).release()
    with (tmp_path / "lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        RunLock.acquire(tmp_path).release()


def test_the_lock_of_a_moved_run_is_not_acquired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    run.mkdir()
    RunLock.acquire(run).release()
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if run.exists():
            run.rename(moved)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UserError, match="No such file or directory"):
        RunLock.acquire(run)
    assert find_holder(moved) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"host":1}', '{"host":"a","pid":"x"}', "[" * 99]
)
def test_a_lock_without_a_valid_note_is_held(tmp_path: Path, content: str) -> None:
    with RunLock.acquire(tmp_path):
        (tmp_path / "lock").write_text(content)
        assert find_holder(tmp_path) == LockHolder("", 0, 0.0)
        with pytest.raises(UserError, match="in use by a process"):
            RunLock.acquire(tmp_path)


def test_control_characters_in_a_host_name_are_shown_safely(tmp_path: Path) -> None:
    with RunLock.acquire(tmp_path):
        note = {"host": "\x1b[2Jevil", "pid": 1, "started": 0.0}
        (tmp_path / "lock").write_text(json.dumps(note))
        with pytest.raises(UserError, match="process 1 on ␛"):
            RunLock.acquire(tmp_path)


def test_a_lock_that_cannot_be_created_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot lock the run .*No such file"):
        RunLock.acquire(tmp_path / "none")
    other = tmp_path / "other"
    other.write_text("somebody else's")
    (tmp_path / "lock").symlink_to(other)
    with pytest.raises(UserError, match="cannot lock the run"):
        RunLock.acquire(tmp_path)
    assert other.read_text() == "somebody else's"


def test_a_file_system_without_locks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_: int, __: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UserError, match=r"No locks available.*--runs DIR"):
        RunLock.acquire(tmp_path)


def test_a_run_can_be_locked_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with RunLock.acquire(tmp_path):
        assert find_holder(tmp_path) == LockHolder("", 0, 0.0)

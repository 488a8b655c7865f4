"""The program as a process that has imported everything already: forked off one that has.

Each still has a process, an environment, standard streams and, where asked, a terminal of its
own; only the seconds of importing are spent once. What is about starting starts a process from
nothing instead.

As a program this listens on a socket at the path that it is given. A request is one message:
arguments, environment and whether its streams are a terminal, as JSON, with the three streams
beside it. The answers are the process's number, and, once it has ended, its exit status.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import IO, Any

PRELOADED = (
    "numpy",
    "torch",
    "torch._dynamo",
    "sklearn.ensemble",
    "optuna",
    "sqlalchemy.dialects.sqlite",
    "fmnist_tui.cli.main",
    "fmnist_tui.cli.commands.dashboard",
    "fmnist_tui.engine.session.run_training",
    "fmnist_tui.engine.session.small_jobs",
    "fmnist_tui.tui.app",
)
REQUEST_BYTES = 1 << 18


class Forked:
    """A process that was forked off, with as much of `subprocess.Popen` as tests need."""

    def __init__(
        self, line: socket.socket, out: IO[str] | None = None, err: IO[str] | None = None
    ) -> None:
        self._line = line
        self._answers = line.makefile("r")
        self.pid = int(self._answers.readline())
        self.stdout, self.stderr = out, err
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._line], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(["fmnist-tui"], timeout or 0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it has said, once it has ended."""
        said: dict[int, str] = {}

        def listen(number: int, stream: IO[str] | None) -> None:
            with contextlib.suppress(ValueError):
                said[number] = stream.read() if stream else ""

        readers = [
            threading.Thread(target=listen, args=(number, stream), daemon=True)
            for number, stream in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(5)
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        return said.get(0, ""), said.get(1, "")


class Warm:
    """The process to fork off, begun at the first use and shared by all tests of a worker."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def start(self, arguments: tuple[str, ...], environment: dict[str, str]) -> Forked:
        """With its output in pipes, and nothing to read."""
        (out, writes_out), (err, writes_err) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        line = self._ask(arguments, environment, (nothing, writes_out, writes_err))
        return Forked(line, os.fdopen(out, "r"), os.fdopen(err, "r"))

    def start_in(
        self, terminal: int, arguments: tuple[str, ...], environment: dict[str, str]
    ) -> Forked:
        """In that terminal, which it leads; the descriptor is used up."""
        streams = (terminal, os.dup(terminal), os.dup(terminal))
        return Forked(self._ask(arguments, environment, streams, leads=True))

    def run(
        self, arguments: tuple[str, ...], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(arguments, environment)
        out, err = process.communicate()
        return subprocess.CompletedProcess(arguments, process.wait(), out, err)

    def _ask(
        self,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        streams: tuple[int, int, int],
        *,
        leads: bool = False,
    ) -> socket.socket:
        with self._lock:
            path = self._listening(environment)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST_BYTES)
        line.connect(path)
        request = json.dumps([list(arguments), environment, leads]).encode()
        socket.send_fds(line, [request], list(streams))
        for stream in streams:
            os.close(stream)
        return line

    def _listening(self, environment: dict[str, str]) -> str:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory()
        path = f"{self._folder.name}/line"
        if self._server is None or self._server.poll() is not None:
            Path(path).unlink(missing_ok=True)
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.warm", path],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            while not Path(path).exists():
                assert self._server.poll() is None, "the process to fork off has ended"
                time.sleep(0.02)
        return path

    def close(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
        if self._folder is not None:
            self._folder.cleanup()


def _serve(path: str) -> None:
    import importlib

    from fmnist_tui.data.load import load_dataset

    for name in PRELOADED:
        importlib.import_module(name)
    load_dataset("sketches", data_dir=Path())
    gc.freeze()
    wakes, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Under its name only once it listens: whoever sees it may ask.
    listener.bind(f"{path}.new")
    listener.listen(16)
    Path(f"{path}.new").rename(path)
    waiting: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener.fileno(), wakes], [], [])
        if wakes in ready:
            os.read(wakes, 64)
        if listener.fileno() in ready:
            line, _ = listener.accept()
            message, streams = _received(line)
            child = os.fork()
            if child == 0:
                ours = [listener, line, *waiting.values()]
                _become(json.loads(message), streams, [end.fileno() for end in ours])
            for stream in streams:
                os.close(stream)
            waiting[child] = line
            line.send(f"{child}\n".encode())
        for child in list(waiting):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                line = waiting.pop(child)
                with contextlib.suppress(OSError):
                    line.send(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                line.close()


def _received(line: socket.socket) -> tuple[bytes, list[int]]:
    streams = array.array("i")
    message, ancillary, _, _ = line.recvmsg(REQUEST_BYTES, socket.CMSG_LEN(3 * streams.itemsize))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.frombytes(data)
    return message, list(streams)


def _become(
    request: tuple[list[str], dict[str, str], bool], streams: list[int], ours: list[int]
) -> None:
    """In the child: be the program with these arguments."""
    arguments, environment, leads = request
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in ours:
        os.close(descriptor)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if leads:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    _stand_on_new_streams(buffered=not leads)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["fmnist-tui", *arguments]
    from fmnist_tui.__main__ import main

    status = 1
    with contextlib.suppress(SystemExit):
        try:
            status = main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
            raise
        finally:
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            for written in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    written.flush()
    os._exit(status)


def _stand_on_new_streams(*, buffered: bool) -> None:
    made: dict[str, Any] = {
        "stdin": os.fdopen(0, "r", closefd=False),
        "stdout": os.fdopen(1, "w", closefd=False, buffering=-1 if buffered else 1),
        "stderr": os.fdopen(2, "w", closefd=False, buffering=1),
    }
    for name, stream in made.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    _serve(sys.argv[1])

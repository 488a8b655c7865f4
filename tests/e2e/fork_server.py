"""A server that forks the program off a process with all imports done.

Each forked program has its own process, environment, standard streams and, if requested, its own
terminal; only the seconds of importing are saved. What it starts itself (a dashboard for a browser,
a job, the process that takes a run over or reads an untrusted file) is forked too. Tests about
starting use a new interpreter, or have such processes start in one with COLD.

Run as a program, this listens on a socket at the given path. A request is one message: a Request
as JSON, with the three streams attached. The answers are the process ID and, when the process has
ended, its exit status.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.e2e.forked_python import DETACHED

PRELOADED = (
    "numpy",
    "torch",
    "torch._dynamo",
    "sklearn.ensemble",
    "alembic.command",
    "optuna",
    "optuna.storages._rdb.models",
    "psycopg",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "fmnist_tui.cli.main",
    "fmnist_tui.cli.commands.dashboard",
    "fmnist_tui.engine.session.run_training",
    "fmnist_tui.engine.session.small_jobs",
    "fmnist_tui.tui.app",
)
REQUEST_BYTES = 1 << 18
START_SECONDS = 120.0
# Names a function, as MODULE:NAME, that a forked program calls before it begins.
PREPARE = "FMNIST_TEST_PREPARE"
# Has a forked program start others in new interpreters.
COLD = "FMNIST_TEST_COLD"
# The socket of the server that all pytest workers share.
SHARED = "FMNIST_TEST_FORK_SERVER"


@dataclass(frozen=True)
class Request:
    """What to run: the program or another module of it, or `code` instead."""

    arguments: list[str]
    environment: dict[str, str]
    code: str | None = None
    # Whether the streams are a terminal, which the process shall control
    controls_terminal: bool = False
    module: str = "fmnist_tui"
    # The current folder; with one, the process gets a session of its own.
    folder: str = ""
    # Signals to ignore
    ignored: list[int] = field(default_factory=list)
    # Whether the process is killed when the other end of the line is closed.
    is_owned: bool = False

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


class ForkedProcess:
    """A process forked by the server, with the part of `subprocess.Popen` that tests need."""

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
        """Wait for the process to end; returns its output."""
        output: dict[int, str] = {}

        def read(number: int, stream: IO[str] | None) -> None:
            with contextlib.suppress(ValueError):
                output[number] = stream.read() if stream else ""

        readers = [
            threading.Thread(target=read, args=(number, stream), daemon=True)
            for number, stream in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(60)
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        return output.get(0, ""), output.get(1, "")


class ForkServer:
    """Starts the server on first use, unless pytest's workers share one."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def start(
        self,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        code: str | None = None,
        errors: Path | None = None,
    ) -> ForkedProcess:
        """Start the program with its output in pipes, or errors in this file, and no input."""
        (out, child_out), (err, child_err) = os.pipe(), os.pipe()
        if errors is not None:
            os.close(child_err)
            child_err = os.open(errors, os.O_WRONLY | os.O_CREAT)
        no_input = os.open(os.devnull, os.O_RDONLY)
        line = self._send(
            Request([*arguments], environment, code), (no_input, child_out, child_err)
        )
        return ForkedProcess(line, os.fdopen(out, "r"), os.fdopen(err, "r"))

    def start_in(
        self,
        terminal: int,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        code: str | None = None,
    ) -> ForkedProcess:
        """Start the program in this terminal, as its session leader. Closes the descriptor."""
        streams = (terminal, os.dup(terminal), os.dup(terminal))
        return ForkedProcess(
            self._send(Request([*arguments], environment, code, controls_terminal=True), streams)
        )

    def command_for(
        self, folder: Path, arguments: tuple[str, ...], environment: dict[str, str], code: str
    ) -> list[str]:
        """A command that starts the program in the terminal that the command is given. The file
        `pid` in the folder then holds its process ID, and `status` at the end its exit status."""
        with self._lock:
            path = self._start_server(environment)
        (folder / "request").write_bytes(
            Request([*arguments], environment, code, controls_terminal=True).encode()
        )
        script = Path(__file__).with_name("lend_terminal.py")
        return [sys.executable, "-SE", str(script), path, str(folder)]

    def torchrun_command(self, environment: dict[str, str]) -> list[str]:
        """What stands in for `python` where it starts torchrun or the program."""
        with self._lock:
            path = self._start_server(environment)
        script = Path(__file__).with_name("forked_torchrun.py")
        return [sys.executable, "-SE", str(script), path]

    def python(self) -> str:
        """A program that stands in for python where that starts the program."""
        with self._lock:
            return str(_stand_in(self._start_server(dict(os.environ))))

    def run(
        self, arguments: tuple[str, ...], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(arguments, environment)
        out, err = process.communicate()
        return subprocess.CompletedProcess(arguments, process.wait(), out, err)

    def _send(self, request: Request, streams: tuple[int, int, int]) -> socket.socket:
        with self._lock:
            path = self._start_server(request.environment)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST_BYTES)
        line.connect(path)
        socket.send_fds(line, [request.encode()], list(streams))
        for stream in streams:
            os.close(stream)
        return line

    def share(self) -> None:
        """Start the server for the pytest workers that this process starts after this."""
        os.environ[SHARED] = self._launch(dict(os.environ))

    def _start_server(self, environment: dict[str, str]) -> str:
        if SHARED in os.environ:
            path = os.environ[SHARED]
        elif self._server is None or self._server.poll() is not None:
            path = self._launch(environment)
        else:
            path = self._path
        end = time.monotonic() + START_SECONDS
        while not Path(path).exists():
            has_ended = self._server is not None and self._server.poll() is not None
            assert not has_ended and time.monotonic() < end, "the fork server has not started"
            time.sleep(0.02)
        return path

    def _launch(self, environment: dict[str, str]) -> str:
        """Start a server; returns its socket, which exists once it listens."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory()
        Path(self._path).unlink(missing_ok=True)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.fork_server", self._path],
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self._path

    @property
    def _path(self) -> str:
        assert self._folder is not None
        return f"{self._folder.name}/line"

    def close(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
        if self._folder is not None:
            self._folder.cleanup()


def _serve(path: str) -> None:
    from fmnist_tui.data.load import load_dataset

    for name in PRELOADED:
        importlib.import_module(name)
    load_dataset("sketches", data_dir=Path())
    stand_in, script = _stand_in(path), Path(__file__).with_name("forked_python.py")
    words = shlex.join([sys.executable, "-SE", str(script), path])
    stand_in.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    stand_in.chmod(0o755)
    gc.freeze()
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Renamed once it listens: a client that sees the path can connect.
    listener.bind(f"{path}.new")
    listener.listen(16)
    Path(f"{path}.new").rename(path)
    waiting: dict[int, socket.socket] = {}
    owned: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([listener.fileno(), wake_reader, *owned], [], [])
        if wake_reader in ready:
            os.read(wake_reader, 64)
        if listener.fileno() in ready:
            line, _ = listener.accept()
            message, streams = _receive(line)
            request = Request(**json.loads(message))
            child = os.fork()
            if child == 0:
                inherited = [listener, line, *waiting.values()]
                if not request.environment.get(COLD):
                    _fork_children(stand_in)
                _run_program(request, streams, [end.fileno() for end in inherited])
            for stream in streams:
                os.close(stream)
            waiting[child] = line
            if request.is_owned:
                owned[line.fileno()] = child
            line.send(f"{child}\n".encode())
        for closed in owned.keys() & {*ready}:
            os.kill(owned.pop(closed), signal.SIGKILL)
        for child in list(waiting):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                line = waiting.pop(child)
                owned.pop(line.fileno(), None)
                with contextlib.suppress(OSError):
                    line.send(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                line.close()


def _receive(line: socket.socket) -> tuple[bytes, list[int]]:
    streams = array.array("i")
    message, ancillary, _, _ = line.recvmsg(REQUEST_BYTES, socket.CMSG_LEN(3 * streams.itemsize))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.frombytes(data)
    return message, list(streams)


def _stand_in(path: str) -> Path:
    """What stands in for python in the programs that the server at this socket forks."""
    return Path(path).with_name("python")


def _fork_children(stand_in: Path) -> None:
    """Have the server fork what this process starts."""
    from fmnist_tui.runs import handover

    sys.executable = str(stand_in)
    # The process that takes a run over is no child of the stand-in.
    handover._SHELL = (
        f'[ "$1" = {shlex.quote(sys.executable)} ] && [ "$3" = -m ] && [ "$4" = fmnist_tui ] &&'
        f' trap "" HUP INT QUIT && {DETACHED}=1 exec "$@" </dev/null\n{handover._SHELL}'
    )


def _run_program(request: Request, streams: list[int], inherited: list[int]) -> None:
    """Run the program, or the code that was given, in the forked child, and exit."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in inherited:
        os.close(descriptor)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if request.controls_terminal or request.folder:
        os.setsid()
    if request.controls_terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if request.folder:
        os.chdir(request.folder)
    for number in request.ignored:
        signal.signal(number, signal.SIG_IGN)
    _reopen_streams(buffered=not request.controls_terminal)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv = ["fmnist-tui", *request.arguments]

    if prepare := os.environ.pop(PREPARE, ""):
        module, _, name = prepare.partition(":")
        getattr(importlib.import_module(module), name)()
    status = 1
    with contextlib.suppress(SystemExit):
        try:
            if request.code is not None:
                exec(request.code, {"__name__": "__main__"})
            if request.module == "fmnist_tui":
                status = importlib.import_module("fmnist_tui.__main__").main()
            else:
                status = importlib.import_module(request.module).main(request.arguments)
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


def _reopen_streams(*, buffered: bool) -> None:
    streams: dict[str, Any] = {
        "stdin": os.fdopen(0, "r", closefd=False),
        "stdout": os.fdopen(1, "w", closefd=False, buffering=-1 if buffered else 1),
        "stderr": os.fdopen(2, "w", closefd=False, buffering=1),
    }
    for name, stream in streams.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    _serve(sys.argv[1])

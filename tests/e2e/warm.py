"""The program as a process that has imported torch already: forked off one that has.

Each command still has a process, an environment and standard streams of its own; only the
seconds of importing are spent once. What is about starting, signals or terminals starts a
process from nothing instead.

As a program this reads a request a line (`Request` as JSON), and answers with the exit
status once the forked process has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

PRELOADED = (
    "numpy",
    "torch",
    "torch._dynamo",
    "sklearn.metrics",
    "optuna",
    "sqlalchemy.dialects.sqlite",
    "fmnist_tui.cli.main",
    "fmnist_tui.engine.job",
    "fmnist_tui.engine.workshop",
)


class Warm:
    """One such process, begun at the first use and shared by all tests of a worker."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(
        self, arguments: tuple[str, ...], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        with self._lock, tempfile.TemporaryDirectory() as folder:
            server = self._started(environment)
            out, err = Path(folder) / "out", Path(folder) / "err"
            request = [list(arguments), environment, str(out), str(err)]
            assert server.stdin is not None and server.stdout is not None
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            status = int(server.stdout.readline())
            return subprocess.CompletedProcess(arguments, status, out.read_text(), err.read_text())

    def _started(self, environment: dict[str, str]) -> subprocess.Popen[str]:
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.warm"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._server

    def close(self) -> None:
        if self._server is not None:
            self._server.communicate()


def _serve() -> None:
    import importlib

    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        arguments, environment, out, err = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(arguments, environment, out, err)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


def _become(arguments: list[str], environment: dict[str, str], out: str, err: str) -> None:
    """In the child: be the program with these arguments."""
    flags = os.O_WRONLY | os.O_CREAT
    for number, path, how in ((0, os.devnull, os.O_RDONLY), (1, out, flags), (2, err, flags)):
        opened = os.open(path, how, 0o600)
        os.dup2(opened, number)
        os.close(opened)
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
            sys.stdout.flush()
            sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve()

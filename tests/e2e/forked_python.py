"""Stands in for `python -P -m fmnist_tui` where a forked program starts that: it is forked too.

Run as `python -SE forked_python.py SOCKET -P -m MODULE WORDS`. The forked process has these streams
and a session of its own, gets the signals that come here, and this ends as it ends. With DETACHED
in the environment this prints the id of the process and ends at once. A real interpreter runs
every other module.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import sys

FORKED_MODULES = ("fmnist_tui", "fmnist_tui.engine.checkpoints.untrusted_weights")
DETACHED = "FMNIST_TEST_DETACHED"
PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1)


def run(path: str, words: list[str]) -> int:
    if words[:2] != ["-P", "-m"] or words[2] not in FORKED_MODULES:
        os.execv(sys.executable, [sys.executable, *words])
    is_detached = bool(os.environ.pop(DETACHED, ""))
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    ignored = [number for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN]
    message = {
        "module": words[2],
        "arguments": words[3:],
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - a quicker start without pathlib
        "ignored": ignored,
        "is_owned": not is_detached,
    }
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    line.connect(path)
    socket.send_fds(line, [json.dumps(message).encode()], [0, 2 if is_detached else 1, 2])
    pid = int(line.recv(64))
    if is_detached:
        print(pid)  # noqa: T201 - read by the shell of `start_detached`
        return 0
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)

    def pass_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in PASSED_ON:
        if number not in ignored:
            signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    status = int(line.recv(64) or b"1")
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))

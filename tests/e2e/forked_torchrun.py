"""Stands in for torchrun and for `python -m fmnist_tui`: the fork server forks the processes.

Run as `python -SE forked_torchrun.py SOCKET WORDS`, where WORDS are those of `python -P -m …`. The
ids of the processes are added, a line each, to the file that FORKED_PIDS names.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

MODULE = "fmnist_tui"


def run(path: str, words: list[str]) -> int:
    options, arguments = words[: words.index(MODULE)], words[words.index(MODULE) + 1 :]
    counts = [word.partition("=")[2] for word in options if word.startswith("--nproc-per-node=")]
    lines, pids = [], []
    for environment in environments(int(counts[0])) if counts else [{}]:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        line.connect(path)
        message = json.dumps({"arguments": arguments, "environment": {**os.environ, **environment}})
        no_input = os.open(os.devnull, os.O_RDONLY)
        socket.send_fds(line, [message.encode()], [no_input, 1, 2])
        pids.append(int(line.recv(64)))
        lines.append(line)
    signal.signal(signal.SIGTERM, lambda *_: end(pids, signal.SIGTERM))
    if counts:
        with Path(os.environ["FORKED_PIDS"]).open("a") as file:
            file.writelines(f"{pid}\n" for pid in pids)
    worst = 0
    while lines:
        for line in select.select(lines, [], [])[0]:
            lines.remove(line)
            worst = worst or abs(int(line.recv(64) or b"1"))
        if worst:
            end(pids, signal.SIGKILL)
    return worst


def end(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def environments(count: int) -> list[dict[str, str]]:
    """What torchrun tells each process; the first one keeps the store of keys."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    shared = {"TORCHELASTIC_RUN_ID": "job", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    counts = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    return [
        {**shared, **counts, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)
    ]


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))

"""Gives its terminal to a program that the fork server forks, and ends as that ends.

For terminals that others make: a session of sshd, a pane of tmux. Run as
`python -SE lend_terminal.py SOCKET FOLDER`; see `ForkServer.command_for`.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import termios
from pathlib import Path


def lend(path: str, folder: Path) -> int:
    # Leaving the terminal sends both to the processes in its foreground.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCONT, signal.SIG_IGN)
    fcntl.ioctl(0, termios.TIOCNOTTY)
    request = (folder / "request").read_bytes()
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(1 << 18, len(request)))
    line.connect(path)
    socket.send_fds(line, [request], [0, 1, 2])
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    (folder / "pid.new").write_bytes(line.recv(64))
    (folder / "pid.new").rename(folder / "pid")
    status = int(line.recv(64) or b"1")
    status = status if status >= 0 else 128 - status
    (folder / "status.new").write_text(str(status))
    (folder / "status.new").rename(folder / "status")
    return status


if __name__ == "__main__":
    sys.exit(lend(sys.argv[1], Path(sys.argv[2])))

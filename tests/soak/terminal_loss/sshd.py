"""An sshd of our own on this machine, with keys of its own; it reads no setting of the system."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("ssh", "ssh-keygen", "sshd")
# sshd wants this folder where root runs it, although it uses it for nothing else.
_FOLDER_OF_ROOT = Path("/run/sshd")
_START_SECONDS = 20.0
_SETTINGS = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
ListenAddress 127.0.0.1
Port {port}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
MaxStartups 100
"""


def find_program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Sshd:
    """A running server; `pid` is that of its first process, whose children serve connections."""

    def __init__(self, folder: Path, port: int, pid: int) -> None:
        self._folder, self._port, self.pid = folder, port, pid

    def client(self, command: str) -> list[str]:
        """The words that run a command in a terminal on the other side."""
        options = {
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": os.devnull,
            "LogLevel": "ERROR",
        }
        words = [find_program("ssh") or "ssh", "-tt", "-F", "none"]
        words += ["-i", f"{self._folder}/user", "-p", str(self._port)]
        words += [f"-o{name}={value}" for name, value in options.items()]
        return [*words, "127.0.0.1", command]


@contextlib.contextmanager
def run_sshd(folder: Path) -> Iterator[Sshd]:
    """A server whose keys and settings are in this folder."""
    folder.mkdir()
    for name in ("host", "user"):
        words = ["-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"]
        subprocess.run([find_program("ssh-keygen") or "ssh-keygen", *words], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings, log = folder / "settings", folder / "log"
    settings.write_text(_SETTINGS.format(folder=folder, port=port))
    has_made = os.getuid() == 0 and not _FOLDER_OF_ROOT.exists()
    if has_made:
        _FOLDER_OF_ROOT.mkdir()
    with log.open("wb") as output:
        # With its whole path: it starts itself again for every connection.
        words = [find_program("sshd") or "sshd", "-D", "-e", "-f", str(settings)]
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=output)
    try:
        end = time.monotonic() + _START_SECONDS
        while b"Server listening" not in log.read_bytes():
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        yield Sshd(folder, port, server.pid)
    finally:
        server.terminate()
        server.wait()
        if has_made:
            _FOLDER_OF_ROOT.rmdir()

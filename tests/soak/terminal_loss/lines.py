"""The program in a terminal that can be lost: in a pty, through ssh, or within tmux."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from pathlib import Path
from typing import Self

import psutil

from tests.e2e.support import FORK_SERVER, LIMIT, wait_for
from tests.e2e.terminal import Terminal
from tests.soak.terminal_loss.held import CODE
from tests.soak.terminal_loss.processes import is_alive
from tests.soak.terminal_loss.sshd import Sshd

PTY, SSH, TMUX = "pty", "ssh", "tmux"
SIZE = (100, 30)


class Line:
    """A running program; `terminal` shows it, and `pid` is the process of the program."""

    def __init__(
        self,
        kind: str,
        words: tuple[str, ...],
        env: dict[str, str],
        folder: Path,
        sshd: Sshd | None,
    ) -> None:
        self.kind, self._folder, self._sshd = kind, folder, sshd
        self._pid = 0
        if kind == PTY:
            self.terminal = Terminal(*words, env=env, size=SIZE, code=CODE)
            return
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FMNIST_TUI_")}
        inherited.pop("TMUX", None)
        there = {**inherited, "TERM": "screen-256color", "COLORTERM": "truecolor", **env}
        command = shlex.join(FORK_SERVER.command_for(folder, words, there, CODE))
        if sshd is not None and kind == SSH:
            start = sshd.client(command)
        else:
            start = [*self._tmux, "-f", os.devnull, "new-session", command]
        self.terminal = Terminal(env={"TMUX": ""}, size=SIZE, command=start)

    @property
    def _tmux(self) -> list[str]:
        return ["tmux", "-S", f"{self._folder}/tmux"]

    @property
    def pid(self) -> int:
        if self.kind == PTY:
            return self.terminal.pid
        if not self._pid:
            self._pid = int(wait_for(lambda: self._read("pid")))
        return self._pid

    def _read(self, name: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / name).read_text()
        return ""

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def tmux(self, *words: str) -> None:
        subprocess.run([*self._tmux, *words], check=True, capture_output=True)

    @property
    def server_processes(self) -> list[int]:
        """The processes of sshd that serve this connection."""
        assert self._sshd is not None
        found = []
        for process in psutil.Process(self._sshd.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                below = process.children(recursive=True)
                if any(str(self._folder) in each.cmdline() for each in below):
                    found.append(process.pid)
        return found

    def is_alive(self) -> bool:
        """Whether the program has not ended."""
        return self.terminal.alive if self.kind == PTY else is_alive(self.pid)

    def wait_for_exit(self, seconds: float = LIMIT) -> int:
        """Wait until the program has ended; returns its exit status."""
        if self.kind == PTY:
            return self.terminal.wait_for_exit(seconds)
        return int(wait_for(lambda: self._read("status"), seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.kind != PTY and (pid := self._pid or int(self._read("pid") or 0)) and is_alive(pid):
            os.kill(pid, 9)
        self.terminal.__exit__()
        if self.kind == TMUX:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.tmux("kill-server")

"""Commands to a running training, from other threads and other processes.

The training loop calls `receive()` between steps. Most calls cost one look at a deque; ten
times a second the run's `commands.jsonl` is read too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from fmnist_tui.protocol.commands import Command
from fmnist_tui.util.errors import UserError


class Cancelled(UserError):  # noqa: N818 - not an error
    """The work is no longer needed; the function that does it cleans up and ends."""


class Inbox:
    """The commands to one run. `send` may be called from any thread and any signal handler."""

    def __init__(self) -> None:
        self._commands: deque[Command] = deque()
        self._arrived = threading.Event()
        self._poll: Callable[[], Iterable[Command]] = lambda: ()

    def send(self, command: Command) -> None:
        self._commands.append(command)
        self._arrived.set()

    def set_source(self, poll: Callable[[], Iterable[Command]]) -> None:
        """Also receive what `poll` returns."""
        self._poll = poll

    def receive(self) -> list[Command]:
        """Every command that has arrived, oldest first."""
        commands = list(self._poll())
        if self._arrived.is_set():
            self._arrived.clear()
            while self._commands:
                commands.append(self._commands.popleft())
        return commands

    def wait(self, seconds: float) -> None:
        """Wait for a command from this process, at most this long."""
        self._arrived.wait(seconds)
